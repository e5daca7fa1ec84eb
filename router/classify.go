package router

import (
	"bytes"
	"unsafe"

	"github.com/sidereal-io/sidereal/engineio/packet"
)

// kind says what a request is to the router.
type kind uint8

const (
	kindApp       kind = iota // the app's own HTTP, bundles, preflights: for any ready worker
	kindHandshake             // opens a session by polling
	kindPoll                  // waits for a session's packets
	kindPost                  // brings a session's packets; any method but GET
	kindUpgrade               // WebSocket: of the session with that sid, or opening one
)

func (k kind) String() string {
	return [...]string{"app", "handshake", "poll", "post", "upgrade"}[k]
}

// classify reads a request as Socket.IO servers do: the path is a prefix of the raw target, and an
// empty query value counts as none. It allocates nothing: the sid, which is empty if the request
// names no session, is valid as long as target and scratch are unchanged.
func classify(path string, method, target []byte, upgrade bool, scratch *sidScratch) (k kind, sid string) {
	if len(target) < len(path) || string(target[:len(path)]) != path {
		return kindApp, ""
	}
	var q packet.Query
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		q = packet.ParseQuery(view(target[i+1:]))
	}
	get := string(method) == "GET"
	switch {
	case q.SID != "" && upgrade:
		k = kindUpgrade
	case q.SID != "" && get:
		k = kindPoll
	case q.SID != "":
		k = kindPost
	case q.Transport != "" && upgrade:
		return kindUpgrade, ""
	case q.Transport != "" && get:
		return kindHandshake, ""
	default:
		return kindApp, ""
	}
	return k, scratch.decode(q.SID)
}

// maxSID is the length of the longest sid that the router decodes. Sids have 20 characters. A
// longer one belongs to no worker, and its escaped form is as unknown as its text.
const maxSID = 128

// sidScratch holds a decoded sid.
type sidScratch [3 * maxSID]byte

// decode returns the text of an escaped sid, which is raw itself if nothing is escaped.
func (s *sidScratch) decode(raw string) string {
	if len(raw) > len(s) || !packet.IsEscaped(raw) {
		return raw
	}
	return view(packet.AppendUnescaped(s[:0], raw))
}

// view returns b as a string without a copy. The string changes with b.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
