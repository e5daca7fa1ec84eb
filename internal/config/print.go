package config

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
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
		fmt.Fprintf(t, "%s\t%s\t%s\n", v.Variable, text, v.From)
	}
	return t.Flush()
}

// Hidden is a secret as it may be shown: of a URL everything but user and password, of anything else nothing.
func Hidden(text string) string {
	if text == "" {
		return ""
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "(hidden)"
	}
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = "***@" + authority[at+1:]
	}
	path, query, _ := strings.Cut(path, "?")
	if strings.ContainsRune(path, '@') { // a password with a slash in it: the cut above was inside of it
		return scheme + "://(hidden)"
	}
	out := scheme + "://" + authority
	if path != "" {
		out += "/" + path
	}
	if _, err := url.ParseQuery(query); query != "" && err == nil {
		out += "?..." // may hold credentials too
	}
	return out
}
