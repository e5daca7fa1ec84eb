package http1

import (
	"bytes"
	"errors"
	"math/rand/v2"
)

// Span is a part of the buffer that a head was parsed from.
type Span struct{ From, To uint16 }

// Of is that part of b.
func (s Span) Of(b []byte) []byte { return b[s.From:s.To] }

// Field is one line of a head.
type Field struct {
	Name, Value Span
	ID          FieldID
}

const (
	maxFields = 100
	maxNamed  = 32        // fields that Connection may name; browsers name none, proxies a few
	maxHead   = 1<<16 - 1 // spans are 16 bits wide
)

// Head indexes a request's or response's head: everything is an offset into the buffer it was
// parsed from, so parsing allocates nothing and what is not changed is forwarded byte for byte. It
// is reused for one head after another.
type Head struct {
	Method, Target Span
	Authority      Span // of a target in absolute form, which then stands for the Host field; empty: none
	Status         int
	Minor          byte  // HTTP/1.Minor
	Length         int64 // Content-Length; -1: none
	Chunked        bool
	Close          bool // the sender will not reuse the connection
	KeepAlive      bool // Connection: keep-alive, which HTTP/1.0 has to say
	Upgrade        bool // a well-formed upgrade to WebSocket
	Expect         bool
	Named          bool // Connection names fields that are not to be forwarded

	fields [maxFields]Field
	n      int // fields in use
	named  [maxNamed]named
	k      int // named in use
}

// named is a field's name that Connection has. Its hash keeps IsNamed from comparing all of them
// with every field: their lengths and first bytes are the client's choice.
type named struct {
	hash uint64
	at   Span
}

// hashSeed makes the hashes of names differ from process to process.
var hashSeed = rand.Uint64() | 1

// hashFold is the same for names that differ in case only.
func hashFold(name []byte) uint64 {
	h := hashSeed
	for _, c := range name {
		h = (h ^ uint64(c|0x20)) * hashSeed
	}
	return h
}

// Fields are the head's fields, in order.
func (h *Head) Fields() []Field { return h.fields[:h.n] }

// Refusal is a head that is not forwarded: the status that tells its sender, and why.
type Refusal struct {
	Status int
	Why    string
}

func (r *Refusal) Error() string { return "http1: " + r.Why }

// ErrMore asks for more bytes.
var ErrMore = errors.New("http1: head incomplete")

// The parser refuses whatever two implementations could understand differently: who disagrees about
// where a request ends, or whose it is, can be made to see a request that nobody sent (RFC 9112,
// sections 2.2, 5, 6 and 11.2).
var (
	ErrBareLF    = &Refusal{400, "line not ended by CR LF"}
	ErrLine      = &Refusal{400, "malformed request line"}
	errName      = &Refusal{400, "malformed field name"}
	errFold      = &Refusal{400, "folded field"}
	errValue     = &Refusal{400, "malformed field value"}
	errHost      = &Refusal{400, "not exactly one valid Host"}
	errLength    = &Refusal{400, "malformed or repeated Content-Length"}
	errCoding    = &Refusal{400, "unknown or repeated Transfer-Encoding"}
	errBoth      = &Refusal{400, "Content-Length beside Transfer-Encoding"}
	errTooMany   = &Refusal{431, "too many fields"}
	errNamed     = &Refusal{431, "too many fields named by Connection"}
	ErrTooLarge  = &Refusal{431, "head too large"}
	errVersion   = &Refusal{505, "not HTTP/1.0 or HTTP/1.1"}
	ErrBadStatus = &Refusal{502, "malformed status line"}
)

// Classes of bytes: RFC 9110 tokens and field values; request targets; Host.
var isToken, isValue, isTarget, isHost [256]bool

func init() {
	for c := range 256 {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		isToken[c] = alnum || c < 128 && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0
		isValue[c] = c == '\t' || c >= 0x20 && c != 0x7f
		isTarget[c] = c > 0x20 && c != 0x7f && c != '#'
		isHost[c] = alnum || c < 128 && bytes.IndexByte([]byte("!$%&'()*+,-.:;=[]_~"), byte(c)) >= 0
	}
}

// Whether text consists of what may stand in a method or a field's name, in a field's value, in a
// target, or in a Host.
func IsToken(text string) bool  { return only(text, &isToken) }
func IsValue(text string) bool  { return only(text, &isValue) }
func IsTarget(text string) bool { return only(text, &isTarget) }
func IsHost(text string) bool   { return only(text, &isHost) }

func only(text string, class *[256]bool) bool {
	for i := range len(text) {
		if !class[text[i]] {
			return false
		}
	}
	return true
}

// ParseRequest reads a request's head from the start of b. It returns the head's length, ErrMore,
// or a *Refusal. The first seen bytes of b were searched before.
func (h *Head) ParseRequest(b []byte, seen int) (int, error) {
	end, err := h.reset(b, seen)
	if err != nil {
		return 0, err
	}
	p, err := h.requestLine(b)
	if err != nil {
		return 0, err
	}
	hosts, err := h.parseFields(b[:end], p)
	if err != nil {
		return 0, err
	}
	if hosts > 1 || hosts == 0 && h.Minor == 1 {
		return 0, errHost
	}
	if h.Chunked && h.Minor == 0 {
		return 0, errCoding
	}
	h.Upgrade = h.Upgrade && h.Minor == 1 && h.Length <= 0 && !h.Chunked && string(h.Method.Of(b)) == "GET"
	return end, nil
}

// OriginForm makes a target in absolute form one in origin form, as a proxy has to (RFC 9112,
// section 3.2.2): servers look for their path at its start. Without a path, one has to be written
// before what is left. False: there is no host in it.
func (h *Head) OriginForm(b []byte) bool {
	target := h.Target.Of(b)
	from := bytes.Index(target, []byte("://")) + 3
	to := from
	for to < len(target) && isHost[target[to]] {
		to++
	}
	if to == from || to < len(target) && target[to] != '/' && target[to] != '?' {
		return false
	}
	at := h.Target.From
	h.Authority, h.Target.From = Span{at + uint16(from), at + uint16(to)}, at+uint16(to)
	return true
}

// Host is the host that a request is for; nil: it names none.
func (h *Head) Host(b []byte) []byte {
	if h.Authority.To > 0 {
		return h.Authority.Of(b)
	}
	return h.Value(b, FieldHost)
}

// ParseResponse is ParseRequest for a response.
func (h *Head) ParseResponse(b []byte, seen int) (int, error) {
	end, err := h.reset(b, seen)
	if err != nil {
		return 0, err
	}
	p, err := h.statusLine(b)
	if err != nil {
		return 0, err
	}
	_, err = h.parseFields(b[:end], p)
	return end, err
}

// reset finds the end of the head.
func (h *Head) reset(b []byte, seen int) (end int, err error) {
	from := max(seen-3, 0)
	i := bytes.Index(b[from:], []byte("\r\n\r\n"))
	if i < 0 {
		if hasBareLF(b, min(seen, len(b))) { // it would never end: refused at once
			return 0, ErrBareLF
		}
		if len(b) > maxHead {
			return 0, ErrTooLarge
		}
		return 0, ErrMore
	}
	if end = from + i + 4; end > maxHead {
		return 0, ErrTooLarge
	}
	h.n, h.k, h.Status, h.Length, h.Authority = 0, 0, 0, -1, Span{}
	h.Chunked, h.Close, h.KeepAlive, h.Upgrade, h.Expect, h.Named = false, false, false, false, false, false
	return end, nil
}

// hasBareLF looks for an LF without a CR before it, in b[from:].
func hasBareLF(b []byte, from int) bool {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return false
		}
		if at := from + i; at == 0 || b[at-1] != '\r' {
			return true
		}
		from += i + 1
	}
}

// requestLine returns where the fields begin.
func (h *Head) requestLine(b []byte) (int, error) {
	i := 0
	for isToken[b[i]] {
		i++
	}
	if i == 0 || b[i] != ' ' {
		return 0, ErrLine
	}
	j := i + 1
	for isTarget[b[j]] {
		j++
	}
	if j == i+1 || b[j] != ' ' {
		return 0, ErrLine
	}
	h.Method, h.Target = Span{0, uint16(i)}, Span{uint16(i + 1), uint16(j)}
	v := b[j+1:]
	k := bytes.IndexByte(v, '\n')
	if k < 1 || v[k-1] != '\r' {
		return 0, ErrBareLF
	}
	if v = v[:k-1]; len(v) != 8 || string(v[:7]) != "HTTP/1." || v[7] != '0' && v[7] != '1' {
		return 0, errVersion
	}
	h.Minor = v[7] - '0'
	return j + 1 + k + 1, nil
}

// statusLine returns where the fields begin.
func (h *Head) statusLine(b []byte) (int, error) {
	k := bytes.IndexByte(b, '\n')
	if k < 13 || b[k-1] != '\r' || string(b[:7]) != "HTTP/1." || b[7] != '0' && b[7] != '1' || b[8] != ' ' {
		return 0, ErrBadStatus
	}
	for _, c := range b[9:12] {
		if c < '0' || c > '9' {
			return 0, ErrBadStatus
		}
		h.Status = h.Status*10 + int(c-'0')
	}
	if h.Status < 100 || b[12] != ' ' && b[12] != '\r' {
		return 0, ErrBadStatus
	}
	for _, c := range b[12 : k-1] {
		if !isValue[c] {
			return 0, ErrBadStatus
		}
	}
	h.Minor = b[7] - '0'
	return k + 1, nil
}

// parseFields reads the fields from p to the empty line that ends b. Every scan stops there at the
// latest.
func (h *Head) parseFields(b []byte, p int) (hosts int, err error) {
	lengths, codings := 0, 0
	websocket, upgrade := false, false
	for p < len(b)-2 {
		if b[p] == ' ' || b[p] == '\t' {
			return 0, errFold
		}
		q := p
		for isToken[b[q]] {
			q++
		}
		if q == p || b[q] != ':' {
			if b[q] == '\n' {
				return 0, ErrBareLF
			}
			return 0, errName
		}
		from := q + 1
		for b[from] == ' ' || b[from] == '\t' {
			from++
		}
		to := from
		for isValue[b[to]] {
			to++
		}
		if b[to] != '\r' || b[to+1] != '\n' {
			if b[to] == '\r' || b[to] == '\n' {
				return 0, ErrBareLF
			}
			return 0, errValue
		}
		next := to + 2
		for to > from && (b[to-1] == ' ' || b[to-1] == '\t') {
			to--
		}
		if h.n == maxFields {
			return 0, errTooMany
		}
		f := &h.fields[h.n]
		*f = Field{Span{uint16(p), uint16(q)}, Span{uint16(from), uint16(to)}, IDOf(b[p:q])}
		h.n++
		v := b[from:to]
		switch f.ID {
		case FieldHost:
			hosts++
			for _, c := range v {
				if !isHost[c] {
					return 0, errHost
				}
			}
		case FieldContentLength:
			if lengths++; !h.parseLength(v) || lengths > 1 {
				return 0, errLength
			}
		case FieldTransferEncoding:
			if codings++; !EqualFold(v, "chunked") || codings > 1 {
				return 0, errCoding
			}
			h.Chunked = true
		case FieldConnection:
			up, ok := h.parseConnection(v, from)
			if !ok {
				return 0, errNamed
			}
			upgrade = upgrade || up
		case FieldUpgrade:
			websocket = websocket || EqualFold(v, "websocket")
		case FieldExpect:
			h.Expect = true
		}
		p = next
	}
	if p != len(b)-2 {
		return 0, ErrBareLF
	}
	if lengths > 0 && codings > 0 {
		return 0, errBoth
	}
	if h.Minor == 0 && !h.KeepAlive {
		h.Close = true
	}
	h.Upgrade = websocket && upgrade
	return hosts, nil
}

func (h *Head) parseLength(v []byte) bool {
	if len(v) == 0 || len(v) > 18 {
		return false
	}
	h.Length = 0
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
		h.Length = h.Length*10 + int64(c-'0')
	}
	return true
}

// parseConnection reports whether v, which begins at that offset of the head, has the upgrade
// token. Not ok: it names too many fields.
func (h *Head) parseConnection(v []byte, from int) (upgrade, ok bool) {
	for t, rest := token(v); t != nil; t, rest = token(rest) {
		switch {
		case len(t) == 0:
		case EqualFold(t, "close"):
			h.Close = true
		case EqualFold(t, "keep-alive"):
			h.KeepAlive = true
		case EqualFold(t, "upgrade"):
			upgrade = true
		default:
			if h.k == maxNamed {
				return false, false
			}
			at := from + cap(v) - cap(t) // both are slices of one array
			h.named[h.k] = named{hashFold(t), Span{uint16(at), uint16(at + len(t))}}
			h.k++
			h.Named = true
		}
	}
	return upgrade, true
}

// token cuts the first of a comma-separated list; nil after the last.
func token(v []byte) (t, rest []byte) {
	if len(v) == 0 {
		return nil, nil
	}
	if i := bytes.IndexByte(v, ','); i >= 0 {
		t, rest = v[:i], v[i+1:]
	} else {
		t = v
	}
	for len(t) > 0 && (t[0] == ' ' || t[0] == '\t') {
		t = t[1:]
	}
	for len(t) > 0 && (t[len(t)-1] == ' ' || t[len(t)-1] == '\t') {
		t = t[:len(t)-1]
	}
	if t == nil {
		t = v[:0]
	}
	return t, rest
}

// IsNamed reports whether a Connection field names the field called name. Its work is linear in the
// name's length.
func (h *Head) IsNamed(b, name []byte) bool {
	if h.k == 0 {
		return false
	}
	hash := hashFold(name)
	for i := range h.k {
		if n := &h.named[i]; n.hash == hash && bytes.EqualFold(n.at.Of(b), name) {
			return true
		}
	}
	return false
}

// Value returns the first field of that id, nil if there is none.
func (h *Head) Value(b []byte, id FieldID) []byte {
	for i := range h.n {
		if h.fields[i].ID == id {
			return h.fields[i].Value.Of(b)
		}
	}
	return nil
}

// PassesUntouched reports whether a worker may read this request as its client wrote it: an upgrade
// that says nothing about where it comes from.
func (h *Head) PassesUntouched(b []byte) bool {
	if b[h.Target.From] != '/' {
		return false
	}
	for i := range h.n {
		switch h.fields[i].ID {
		case FieldForwarded, FieldForwardedFor, FieldForwardedProto, FieldForwardedHost, FieldSidereal, FieldSiderealWorker, FieldSiderealKey:
			return false
		}
	}
	return h.Upgrade && !h.Expect
}
