package router

import (
	"bytes"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// kind says what a request is to the router.
type kind uint8

const (
	kindApp       kind = iota // the app's own HTTP, bundles, preflights, and what no session can come of: any ready worker
	kindHandshake             // opens a session by polling
	kindPoll                  // waits for a session's packets
	kindPost                  // brings a session's packets; any method but GET
	kindUpgrade               // WebSocket: of the session with that sid, or opening one
)

func (k kind) String() string {
	return [...]string{"app", "handshake", "poll", "post", "upgrade"}[k]
}

// route is what classify finds in a request.
type route struct {
	kind kind
	sid  []byte // of the target or of the scratch given to classify; nil: none
}

// maxSID bounds what is looked up. Sids have 20 characters; a longer one is no worker's, and unknown.
const maxSID = 128

// classify tells what a request is, as Socket.IO servers understand it: the path is a prefix of the raw target, query
// keys are percent-decoded, the last of a repeated key wins and an empty value counts as none. It allocates nothing. A sid
// with escapes is decoded into scratch.
func classify(path string, method, target []byte, upgrade bool, scratch *[maxSID]byte) route {
	if len(target) < len(path) || string(target[:len(path)]) != path {
		return route{}
	}
	var sid, transport []byte
	if q := bytes.IndexByte(target, '?'); q >= 0 {
		for rest := target[q+1:]; len(rest) > 0; {
			pair := rest
			if i := bytes.IndexByte(rest, '&'); i >= 0 {
				pair, rest = rest[:i], rest[i+1:]
			} else {
				rest = nil
			}
			key, value := pair, pair[len(pair):]
			if i := bytes.IndexByte(pair, '='); i >= 0 {
				key, value = pair[:i], pair[i+1:]
			}
			switch {
			case isKey(key, "sid"):
				sid = value
			case isKey(key, "transport"):
				transport = value
			}
		}
	}
	get := string(method) == "GET"
	switch {
	case len(sid) > 0 && upgrade:
		return route{kindUpgrade, decoded(sid, scratch)}
	case len(sid) > 0 && get:
		return route{kindPoll, decoded(sid, scratch)}
	case len(sid) > 0:
		return route{kindPost, decoded(sid, scratch)}
	case len(transport) > 0 && upgrade:
		return route{kind: kindUpgrade}
	case len(transport) > 0 && get:
		return route{kind: kindHandshake}
	}
	return route{}
}

// isKey compares a raw query key with a name.
func isKey(raw []byte, name string) bool {
	if len(raw) < len(name) || len(raw) > 3*len(name) {
		return false
	}
	for i := range len(name) {
		if len(raw) == 0 {
			return false
		}
		c, n := unescape(raw)
		if c != name[i] {
			return false
		}
		raw = raw[n:]
	}
	return len(raw) == 0
}

// decoded returns the text of a raw query value: raw itself where nothing is escaped.
func decoded(raw []byte, scratch *[maxSID]byte) []byte {
	if bytes.IndexByte(raw, '%') < 0 && bytes.IndexByte(raw, '+') < 0 {
		return raw
	}
	n := 0
	for len(raw) > 0 {
		if n == len(scratch) {
			return raw // too long for any sid
		}
		c, k := unescape(raw)
		scratch[n] = c
		n, raw = n+1, raw[k:]
	}
	return scratch[:n]
}

// unescape returns the first byte that raw stands for, and how long it is written there.
func unescape(raw []byte) (c byte, n int) {
	switch raw[0] {
	case '+':
		return ' ', 1
	case '%':
		if len(raw) > 2 {
			hi, ok1 := http1.HexDigit(raw[1])
			lo, ok2 := http1.HexDigit(raw[2])
			if ok1 && ok2 {
				return hi<<4 | lo, 3
			}
		}
	}
	return raw[0], 1
}
