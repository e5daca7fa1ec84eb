package router

import (
	"bytes"
	"net"
	"net/netip"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// client is who sent a request, as far as the router believes it.
type client struct {
	addr  netip.AddrPort // port 0: only the address is known
	https bool
}

func (c client) scheme() string {
	if c.https {
		return "https"
	}
	return "http"
}

// peer is the other end of a connection, as its first bytes told.
type peer struct {
	client
	trusted     bool // its forwarding headers are believed
	awaitsProxy bool // a PROXY header has to come first
	unproxied   bool // and did not come
	proxied     bool // and named the client, who isn't the descriptor's other end
	fromDoor    bool // it asked for TLS under the routers' own name
}

// proxies are the networks of Config.TrustedProxies.
type proxies []netip.Prefix

// trusts reports whether the forwarding headers of a peer are believed.
func (ps proxies) trusts(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range ps {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// peer is who is at the other end.
func (ps proxies) peer(who client) peer {
	return peer{client: who, trusted: ps.trusts(who.addr.Addr())}
}

// clientOf finds the client of a request that came from peer: the rightmost address that is no
// trusted proxy's. Each proxy appends whom it saw, so whatever stands left of an untrusted address
// is only that one's word. Before an untrusted peer nothing is believed.
func (ps proxies) clientOf(h *http1.Head, b []byte, peer client) client {
	if !ps.trusts(peer.addr.Addr()) {
		return peer
	}
	o := peer
	if proto := h.Value(b, http1.FieldForwardedProto); proto != nil {
		if i := bytes.LastIndexByte(proto, ','); i >= 0 {
			proto = bytes.TrimLeft(proto[i+1:], " \t")
		}
		o.https = http1.EqualFold(proto, "https")
	}
	for i := len(h.Fields()) - 1; i >= 0; i-- {
		if h.Fields()[i].ID != http1.FieldForwardedFor {
			continue
		}
		for rest := h.Fields()[i].Value.Of(b); len(rest) > 0; {
			entry := rest
			if c := bytes.LastIndexByte(rest, ','); c >= 0 {
				entry, rest = rest[c+1:], rest[:c]
			} else {
				rest = nil
			}
			a, ok := parseAddr(string(bytes.Trim(entry, " \t")))
			if !ok {
				return o
			}
			o.addr = a
			if !ps.trusts(a.Addr()) {
				return o
			}
		}
	}
	return o
}

// parseAddr reads an address as proxies write it: alone, in brackets, or with a port.
func parseAddr(s string) (netip.AddrPort, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), true
	}
	if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
		s = s[1 : n-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), 0), true
}

// addrOf is the address of an accepted connection's other end.
func addrOf(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// appendForwarded writes what a proxy says about the connection before it. What a trusted proxy
// says stays as it is: its own address isn't added to X-Forwarded-For, because the worker's socket
// already stands for it. So apps that count proxies (Express's trust proxy: 1) count right.
func (p *peer) appendForwarded(dst []byte, h *http1.Head, b []byte) []byte {
	dst = append(dst, "X-Forwarded-For: "...)
	named := false
	if p.trusted {
		for i := range h.Fields() {
			if h.Fields()[i].ID != http1.FieldForwardedFor {
				continue
			}
			if named {
				dst = append(dst, ", "...)
			}
			dst = append(dst, h.Fields()[i].Value.Of(b)...)
			named = true
		}
	}
	switch peer := p.addr; {
	case named:
	case peer.IsValid():
		dst = peer.Addr().AppendTo(dst)
	default:
		dst = append(dst, "unknown"...)
	}
	if !p.trusted || h.Value(b, http1.FieldForwardedProto) == nil {
		dst = append(append(dst, "\r\nX-Forwarded-Proto: "...), p.scheme()...)
	}
	if host := h.Host(b); host != nil && (!p.trusted || h.Value(b, http1.FieldForwardedHost) == nil) {
		dst = append(append(dst, "\r\nX-Forwarded-Host: "...), host...)
	}
	return append(dst, "\r\n"...)
}

// appendOrigin writes the fields about the client and the router that only our workers read.
func appendOrigin(dst []byte, from client, router string) []byte {
	if from.addr.IsValid() {
		dst = from.addr.AppendTo(append(dst, "Sidereal-Client: "...))
		dst = append(dst, "\r\n"...)
	}
	dst = append(append(append(dst, "Sidereal-Proto: "...), from.scheme()...), fieldRouter...)
	return append(append(dst, router...), "\r\n"...)
}

// appendRouting writes which worker is meant, and to a door why it should believe that.
func appendRouting(dst []byte, worker, key string) []byte {
	dst = append(append(append(dst, "Sidereal-Worker: "...), worker...), "\r\n"...)
	if key != "" {
		dst = append(append(append(dst, "Sidereal-Key: "...), key...), "\r\n"...)
	}
	return dst
}
