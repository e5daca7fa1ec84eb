package engineio

import (
	"bytes"
	"encoding/json"
	"net/url"
)

// JSONP, by which pages polled before CORS: the response is a script that calls a function with the
// payload, and the payload of a post is a form's field. A session whose handshake has a parameter j
// is one of these.

// appendJSONP wraps a payload. It uses the digits of j only, so that j can't carry script.
func appendJSONP(dst []byte, j string, payload []byte) []byte {
	dst = append(dst, "___eio["...)
	for _, c := range []byte(j) {
		if c >= '0' && c <= '9' {
			dst = append(dst, c)
		}
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	// It escapes U+2028 and U+2029, which scripts need. A string into a buffer can't fail.
	_ = enc.Encode(string(payload))
	return append(append(append(dst, "]("...), bytes.TrimSuffix(text.Bytes(), []byte("\n"))...), ");"...)
}

// jsonpBody returns the payload of a posted form. Clients double the backslash of "\n", since forms
// normalise newlines.
func jsonpBody(body []byte) []byte {
	form, _ := url.ParseQuery(string(body))
	d := []byte(form.Get("d"))
	out := make([]byte, 0, len(d))
	for i := 0; i < len(d); i++ {
		switch {
		case bytes.HasPrefix(d[i:], []byte(`\\n`)):
			out = append(out, `\n`...)
			i += 2
		case bytes.HasPrefix(d[i:], []byte(`\n`)):
			out = append(out, '\n')
			i++
		default:
			out = append(out, d[i])
		}
	}
	return out
}
