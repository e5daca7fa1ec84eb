package packet

import "strings"

// Query holds the parameters of a query string that have a meaning in Engine.IO. Each value is a
// part of that string and may be escaped: AppendUnescaped decodes it. If a parameter is repeated,
// its last value counts, as in the reference implementation.
type Query struct {
	EIO       string
	Transport string
	SID       string
	T         string // a client's number of the request
	J         string
	HasJ      bool // J may be empty and still ask for JSONP
}

// ParseQuery reads a query string without its question mark. Routers and servers both use it, so
// they always agree on the session that a request belongs to. It allocates nothing and accepts any
// input.
func ParseQuery(s string) (q Query) {
	for len(s) > 0 {
		pair := s
		if i := strings.IndexByte(s, '&'); i >= 0 {
			pair, s = s[:i], s[i+1:]
		} else {
			s = ""
		}
		key, value, _ := strings.Cut(pair, "=")
		if strings.IndexByte(key, '%') >= 0 {
			key = knownKey(key)
		}
		switch key {
		case "sid":
			q.SID = value
		case "transport":
			q.Transport = value
		case "EIO":
			q.EIO = value
		case "t":
			q.T = value
		case "j":
			q.J, q.HasJ = value, true
		}
	}
	return q
}

// knownKey decodes an escaped key. It returns an empty string for a key without a meaning.
func knownKey(escaped string) string {
	var text [len("transport")]byte
	if len(escaped) > 3*len(text) {
		return ""
	}
	n := 0
	for ; len(escaped) > 0; n++ {
		if n == len(text) {
			return ""
		}
		c, k := unescape(escaped)
		text[n], escaped = c, escaped[k:]
	}
	switch string(text[:n]) {
	case "sid":
		return "sid"
	case "transport":
		return "transport"
	case "EIO":
		return "EIO"
	case "t":
		return "t"
	case "j":
		return "j"
	}
	return ""
}

// IsEscaped reports whether AppendUnescaped would change s.
func IsEscaped(s string) bool {
	return strings.IndexByte(s, '%') >= 0 || strings.IndexByte(s, '+') >= 0
}

// AppendUnescaped appends s to dst with its percent signs and pluses decoded. A percent sign
// without two hexadecimal digits behind it stands for itself. The result is never longer than s.
func AppendUnescaped(dst []byte, s string) []byte {
	for len(s) > 0 {
		c, n := unescape(s)
		dst = append(dst, c)
		s = s[n:]
	}
	return dst
}

// unescape returns the first byte that s stands for and the length of its escaped form.
func unescape(s string) (c byte, n int) {
	switch {
	case s[0] == '+':
		return ' ', 1
	case s[0] == '%' && len(s) > 2:
		high, low := hexDigit(s[1]), hexDigit(s[2])
		if high < 16 && low < 16 {
			return high<<4 | low, 3
		}
	}
	return s[0], 1
}

// hexDigit returns the value of a hexadecimal digit, or 255.
func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
