package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Print writes the settings as a table of variable, value and origin. It hides secrets.
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

// Hidden returns a secret as it may be shown: a URL without its passwords, or "(hidden)".
func Hidden(text string) string {
	switch {
	case text == "":
		return ""
	case strings.Contains(text, "://"):
		return redisconn.Redact(text)
	}
	return "(hidden)"
}
