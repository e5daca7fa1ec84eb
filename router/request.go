package router

import (
	"bytes"
	"strings"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// request is what a client asks, as the head says. It doesn't change once it is read. The head's
// offsets are valid as long as its bytes are in the connection's buffer.
type request struct {
	head   http1.Head
	kind   kind
	sid    string // empty if the request names no session
	from   client
	minor  byte // the client's HTTP/1.minor
	isHead bool
	isGet  bool // nothing happens twice if it is sent twice
	expect bool // the client waits for 100 Continue
}

var (
	errMethod      = &http1.Refusal{Status: 405, Why: "method not served"}
	errTarget      = &http1.Refusal{Status: 400, Why: "malformed request target"}
	errExpectation = &http1.Refusal{Status: 417, Why: "expectation not understood"}
	errBody        = &http1.Refusal{Status: 413, Why: "body too large"}
)

// understand reads from the head b how the request is to be answered. It refuses requests that are
// not for a server.
func (q *request) understand(b []byte) *http1.Refusal {
	h := &q.head
	method, target := h.Method.Of(b), h.Target.Of(b)
	q.minor = h.Minor
	q.isHead = string(method) == "HEAD"
	q.isGet = q.isHead || string(method) == "GET"
	switch {
	case string(method) == "CONNECT", string(method) == "TRACE":
		return errMethod
	case target[0] == '/':
	case (http1.HasPrefixFold(target, "http://") || http1.HasPrefixFold(target, "https://")) && h.OriginForm(b):
	case string(method) == "OPTIONS" && string(target) == "*":
	default:
		return errTarget
	}
	q.expect = h.Expect && h.Minor == 1
	if q.expect && !http1.EqualFold(h.Value(b, http1.FieldExpect), "100-continue") {
		return errExpectation
	}
	return nil
}

// classify finds out what kind of request it is. Most connections bring requests of one session
// only, so known, the sid of the request before, saves a copy.
func (q *request) classify(b []byte, path, known string) {
	var scratch sidScratch
	var sid string
	q.kind, sid = classify(path, q.head.Method.Of(b), q.head.Target.Of(b), q.head.Upgrade, &scratch)
	if q.sid = known; sid != known {
		q.sid = strings.Clone(sid)
	}
}

// opensSession reports whether a session may come of the request.
func (q *request) opensSession() bool {
	return q.sid == "" && (q.kind == kindHandshake || q.kind == kindUpgrade)
}

// hasBody reports whether a body follows the head.
func (q *request) hasBody() bool { return q.head.Length > 0 || q.head.Chunked }

// authority returns the host that the request is for, without its port, and the path with the
// query.
func (q *request) authority(b []byte) (host, path []byte) {
	host, path = q.head.Host(b), q.head.Target.Of(b)
	if q.head.Authority.To > 0 && (len(path) == 0 || path[0] == '?') {
		path = append([]byte("/"), path...)
	}
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && i > bytes.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return host, path
}
