package router

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strconv"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// The PROXY protocol, versions 1 and 2, as HAProxy's proxy-protocol.txt has it: what a proxy that
// works on TCP says about a connection before its first byte.

const (
	proxyV1     = "PROXY "
	proxyV1Most = 107 // bytes of the longest version 1 header, with its CR LF
	proxyV2     = "\r\n\r\n\x00\r\nQUIT\n"
	proxyV2Head = 16      // signature, version and command, family, length
	proxyMost   = 4 << 10 // of a version 2 header; addresses take 36 bytes, what proxies add some hundred
)

// Kinds of what may follow the addresses of version 2.
const (
	proxyCRC = 0x03
	proxySSL = 0x20
)

var (
	errProxyHeader  = &http1.Refusal{Status: 400, Why: "malformed PROXY header"}
	errProxyMissing = &http1.Refusal{Status: 400, Why: "PROXY header missing"}
)

// parseProxy reads a header from the start of b, which is not empty: who is behind it, and whether
// over TLS, and its length, 0 where there is none. An address that is not valid means that the
// connection is the proxy's own (LOCAL, UNKNOWN), or no TCP at all. It may ask for more with
// http1.ErrMore.
func parseProxy(b []byte) (p client, n int, err error) {
	switch {
	case startsLike(b, proxyV1):
		return parseProxyV1(b)
	case startsLike(b, proxyV2):
		return parseProxyV2(b)
	}
	return p, 0, nil
}

// startsLike reports whether b begins with the text, or is too short to tell.
func startsLike(b []byte, text string) bool {
	n := min(len(b), len(text))
	return string(b[:n]) == text[:n]
}

// parseProxyV1 reads the line "PROXY TCP4 source destination port port".
func parseProxyV1(b []byte) (p client, n int, err error) {
	end := bytes.IndexByte(b[:min(len(b), proxyV1Most)], '\n')
	if end < 0 {
		if len(b) >= proxyV1Most {
			return p, 0, errProxyHeader
		}
		return p, 0, http1.ErrMore
	}
	line, ok := bytes.CutSuffix(b[:end], []byte("\r"))
	if !ok || len(line) < len(proxyV1) {
		return p, 0, errProxyHeader
	}
	words := bytes.Split(line[len(proxyV1):], []byte(" "))
	switch family := string(words[0]); {
	case family == "UNKNOWN":
		return p, end + 1, nil
	case family != "TCP4" && family != "TCP6" || len(words) != 5:
		return p, 0, errProxyHeader
	default:
		from, ok1 := proxyAddr(words[1], words[3], family == "TCP4")
		_, ok2 := proxyAddr(words[2], words[4], family == "TCP4")
		if !ok1 || !ok2 {
			return p, 0, errProxyHeader
		}
		return client{addr: from}, end + 1, nil
	}
}

// proxyAddr reads an address and a port in the only form that each has.
func proxyAddr(addr, port []byte, v4 bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(string(addr))
	n, portErr := strconv.ParseUint(string(port), 10, 16)
	if err != nil || portErr != nil || a.Is4() != v4 || a.Zone() != "" || len(port) > 1 && port[0] == '0' || port[0] == '+' {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}

func parseProxyV2(b []byte) (p client, n int, err error) {
	if len(b) < proxyV2Head {
		return p, 0, http1.ErrMore
	}
	command, family := b[12], b[13]
	n = proxyV2Head + int(binary.BigEndian.Uint16(b[14:]))
	if command != 0x20 && command != 0x21 || n > proxyMost {
		return p, 0, errProxyHeader
	}
	if len(b) < n {
		return p, 0, http1.ErrMore
	}
	if command == 0x20 { // LOCAL: a health check
		return p, n, nil
	}
	b = b[:n]
	sizes := [...]int{0, 12, 36, 216} // none, IPv4, IPv6, unix
	if int(family>>4) >= len(sizes) || family&0x0f > 2 || len(b)-proxyV2Head < sizes[family>>4] {
		return p, 0, errProxyHeader
	}
	size := sizes[family>>4]
	a := b[proxyV2Head : proxyV2Head+size]
	switch family {
	case 0x11:
		p.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a)), binary.BigEndian.Uint16(a[8:]))
	case 0x21:
		p.addr = netip.AddrPortFrom(netip.AddrFrom16([16]byte(a)).Unmap(), binary.BigEndian.Uint16(a[32:]))
	}
	if !p.readExtras(b, proxyV2Head+size) {
		return client{}, 0, errProxyHeader
	}
	return p, n, nil
}

// readExtras reads what follows the addresses, from at to the end of the header.
func (c *client) readExtras(header []byte, at int) bool {
	summed := false // once: each sum reads the whole header
	for rest := header[at:]; len(rest) > 0; {
		if len(rest) < 3 {
			return false
		}
		kind, n := rest[0], int(binary.BigEndian.Uint16(rest[1:]))
		if len(rest) < 3+n {
			return false
		}
		value := rest[3 : 3+n]
		switch rest = rest[3+n:]; kind {
		case proxyCRC:
			if n != 4 || summed || !sumsUp(header, len(header)-len(rest)-4) {
				return false
			}
			summed = true
		case proxySSL:
			if n < 5 {
				return false
			}
			c.https = value[0]&1 != 0
		}
	}
	return true
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	zeros      [4]byte
)

// sumsUp verifies the CRC32c of a header that is at that offset of it, and counts as zero in it.
func sumsUp(header []byte, at int) bool {
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, zeros[:])
	sum = crc32.Update(sum, castagnoli, header[at+4:])
	return sum == binary.BigEndian.Uint32(header[at:])
}

// readProxy takes the PROXY header that a trusted proxy's connection begins with, and takes its
// word for who is at the other end. A connection without one may still be another host's router,
// which shows its key. False: the header is no good, or did not come in time.
func (c *conn) readProxy() bool {
	c.peer.awaitsProxy = false
	deadline := time.Now().Add(c.r.cfg.HeadTimeout)
	for {
		p, n, err := parseProxy(c.Bytes())
		switch {
		case err == http1.ErrMore:
			c.Conn.SetReadDeadline(deadline)
			if c.Fill() != nil {
				return false
			}
			continue
		case err != nil:
			c.r.metrics.proxyErrors.Inc()
			return false
		case n == 0:
			c.peer.unproxied = true
			return true
		}
		c.Discard(n)
		if p.addr.IsValid() {
			c.peer = c.r.proxies.peer(p)
			c.peer.proxied = true
		}
		return true
	}
}

// proxyIsSilent says, at most every 10 s, that a trusted proxy's requests are refused.
func (r *Router) proxyIsSilent(addr netip.Addr) {
	r.metrics.proxyErrors.Inc()
	if seldom(&r.proxyWarned) {
		r.log.Warn("a trusted proxy sends no PROXY header; the router refuses its requests", "addr", addr.String())
	}
}
