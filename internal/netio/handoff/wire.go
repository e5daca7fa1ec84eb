package handoff

import "fmt"

// Kind says where a connection comes from, and so what its headers are worth.
type Kind uint8

const (
	// Client is a public connection: headers come from outside; the address is in the Meta.
	Client Kind = 1 + iota
	// Peer is a connection of another host's router, authenticated by that host's door: its headers
	// are believed.
	Peer
	// Local is a connection of this host's router: its headers are believed.
	Local
)

func (k Kind) String() string {
	switch k {
	case Client:
		return "client"
	case Peer:
		return "peer"
	case Local:
		return "local"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Meta is what travels beside a descriptor.
type Meta struct {
	Kind       Kind
	ClientAddr string // ip:port of the true client; the other router's for Peer; empty for Local
	Scheme     string // "http" or "https": how the client connected
	Head       []byte // what the receiver reads first: the rewritten request head and all bytes taken after it
}

// ClientLeft is a byte that a router writes behind a poll that waits, when its client has left. It
// closes the connection then. A connection that ends without this byte says nothing about the
// client: the router at its other end is gone. No request begins with this byte, and nothing that a
// client sends comes behind a poll, so clients can't write it there. Routers write it only to
// workers whose record has Repeats.
const ClientLeft byte = 4 // ASCII's end of transmission

// MaxHead is the longest Head, in bytes. Heads beyond it are rare (a router's own limit on heads is
// lower) and are proxied.
const MaxHead = 64 << 10

// The datagram, version 1:
//
//	version kind len(worker) worker len(address) address len(scheme) scheme head
//
// one byte for each of version, kind and the lengths; the head is the rest. The greeting, which the
// worker sends to whoever connects, is "sidereal" version worker, or "sidereal" untouchedVersion
// worker where it takes client connections only untouched: a router that does not know about that
// does not understand the greeting, and proxies.
const (
	wireVersion      = 1
	untouchedVersion = 2
	greeting         = "sidereal"
	maxPrefix        = 5 + 3*255
	maxGreeting      = len(greeting) + 1 + 255
)

// appendPrefix appends everything of m but the head.
func appendPrefix(dst []byte, worker string, m *Meta) ([]byte, error) {
	if m.Kind < Client || m.Kind > Local || len(worker) > 255 || len(m.ClientAddr) > 255 || len(m.Scheme) > 255 {
		return dst, errWire
	}
	if len(m.Head) > MaxHead {
		return dst, ErrTooLarge
	}
	dst = append(dst, wireVersion, byte(m.Kind))
	for _, s := range [...]string{worker, m.ClientAddr, m.Scheme} {
		dst = append(dst, byte(len(s)))
		dst = append(dst, s...)
	}
	return dst, nil
}

// parse reads a datagram. The Meta's Head is part of b.
func parse(b []byte) (worker string, m Meta, err error) {
	if len(b) < 2 || b[0] != wireVersion {
		return "", Meta{}, errWire
	}
	m.Kind = Kind(b[1])
	if m.Kind < Client || m.Kind > Local {
		return "", Meta{}, errWire
	}
	b = b[2:]
	for _, s := range [...]*string{&worker, &m.ClientAddr, &m.Scheme} {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return "", Meta{}, errWire
		}
		end := 1 + int(b[0])
		*s, b = string(b[1:end]), b[end:]
	}
	if len(b) > MaxHead {
		return "", Meta{}, errWire
	}
	m.Head = b
	return worker, m, nil
}

func appendGreeting(dst []byte, worker string, untouched bool) []byte {
	dst = append(dst, greeting...)
	if untouched {
		dst = append(dst, untouchedVersion)
	} else {
		dst = append(dst, wireVersion)
	}
	return append(dst, worker...)
}

func parseGreeting(b []byte) (worker string, untouched bool, err error) {
	if len(b) <= len(greeting)+1 || string(b[:len(greeting)]) != greeting {
		return "", false, errWire
	}
	switch b[len(greeting)] {
	case wireVersion:
	case untouchedVersion:
		untouched = true
	default:
		return "", false, errWire
	}
	return string(b[len(greeting)+1:]), untouched, nil
}
