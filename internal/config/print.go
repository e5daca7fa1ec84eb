package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Print writes the settings as a table: variable, value, where it came from. Secrets are hidden.
func (s *Settings) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range s.Values {
		text := v.Text
		if v.Secret {
			text = Hidden(text)
		}
		if text == "" {
			text = "-"
		}
		from := v.From
		if v.unset != "" {
			from += ": " + v.unset
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", v.Variable, text, from)
	}
	return t.Flush()
}

// Hidden is a secret as it may be shown: of a URL what is no secret, of anything else nothing.
func Hidden(text string) string {
	switch {
	case text == "":
		return ""
	case strings.Contains(text, "://"):
		return redisconn.Redact(text)
	}
	return "(hidden)"
}
