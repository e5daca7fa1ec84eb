package engineio

import (
	"net/http"
	"strings"
)

// query is what the engine reads of a request's query. Of repeated parameters the last wins, as in the reference.
type query struct {
	eio, transport, sid string
	jsonp               *string // the value of j
}

func parseQuery(r *http.Request) (q query) {
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		switch unescape(key) {
		case "EIO":
			q.eio = unescape(value)
		case "transport":
			q.transport = unescape(value)
		case "sid":
			q.sid = unescape(value)
		case "j":
			j := unescape(value)
			q.jsonp = &j
		}
	}
	return q
}

// protocol is the revision of Engine.IO that is spoken here.
const protocol = 4

// protocol is the revision that a request speaks: 4, or 3 for whatever else it says, as the reference has it.
func (q *query) protocol() int {
	if q.eio == "4" {
		return 4
	}
	return 3
}

// unescape decodes percent signs and pluses, and leaves malformed escapes as they are.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s) && unhex(s[i+1]) < 16 && unhex(s[i+2]) < 16:
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}
