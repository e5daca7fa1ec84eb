package engineio

import (
	"net/http"

	"github.com/sidereal-io/sidereal/engineio/packet"
)

// query holds the decoded parameters of a request's query string.
type query struct {
	eio, transport, sid, t string
	jsonp                  *string // the value of j
}

func parseQuery(r *http.Request) query {
	raw := packet.ParseQuery(r.URL.RawQuery)
	q := query{eio: unescape(raw.EIO), transport: unescape(raw.Transport), sid: unescape(raw.SID), t: unescape(raw.T)}
	if raw.HasJ {
		j := unescape(raw.J)
		q.jsonp = &j
	}
	return q
}

// protocol is the revision of Engine.IO that is spoken here.
const protocol = 4

// protocol is the revision that a request speaks: 4, or 3 for whatever else it says, as the
// reference has it.
func (q *query) protocol() int {
	if q.eio == "4" {
		return 4
	}
	return 3
}

// unescape decodes percent signs and pluses, and leaves malformed escapes as they are.
func unescape(s string) string {
	if !packet.IsEscaped(s) {
		return s
	}
	return string(packet.AppendUnescaped(make([]byte, 0, len(s)), s))
}
