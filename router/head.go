package router

import (
	"bytes"
	"errors"
)

// fieldID names the fields that the router acts upon.
type fieldID uint8

const (
	fieldOther fieldID = iota
	fieldHost
	fieldContentLength
	fieldTransferEncoding
	fieldConnection
	fieldUpgrade
	fieldExpect
	fieldHop            // Keep-Alive, Proxy-*, TE, Trailer: between two neighbours
	fieldForwarded      // Forwarded, X-Forwarded-*, X-Real-IP: what proxies before us say
	fieldForwardedFor   // X-Forwarded-For
	fieldForwardedProto // X-Forwarded-Proto
	fieldForwardedHost  // X-Forwarded-Host
	fieldAcceptEncoding
	fieldOrigin
	fieldSidereal       // Sidereal-Client, Sidereal-Proto and whatever else begins so: what our own routers say
	fieldSiderealWorker // Sidereal-Worker
	fieldSiderealKey    // Sidereal-Key
)

// span is a part of the buffer that a head was parsed from.
type span struct{ from, to uint16 }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

type field struct {
	name, value span
	id          fieldID
}

const (
	maxFields = 100
	maxHead   = 1<<16 - 1 // spans are 16 bits wide
)

// head indexes a request's or response's head: everything is an offset into the buffer it was parsed from, so parsing
// allocates nothing and what is not changed is forwarded byte for byte.
type head struct {
	method, target span
	authority      span // of a target in absolute form, which then stands for the Host field; empty: none
	status         int
	minor          byte // HTTP/1.minor
	fields         [maxFields]field
	n              int   // fields in use
	length         int64 // Content-Length; -1: none
	chunked        bool
	close          bool // the sender will not reuse the connection
	keepAlive      bool // Connection: keep-alive, which HTTP/1.0 has to say
	upgrade        bool // a well-formed upgrade to WebSocket
	expect         bool
	named          bool // Connection names fields that are not to be forwarded
}

// refusal is a head that is not forwarded: the status that tells its sender, and why.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return "router: " + r.why }

// errMore asks for more bytes.
var errMore = errors.New("router: head incomplete")

// The parser refuses whatever two implementations could understand differently: who disagrees about where a request
// ends, or whose it is, can be made to see a request that nobody sent (RFC 9112, sections 2.2, 5, 6 and 11.2).
var (
	errBareLF    = &refusal{400, "line not ended by CR LF"}
	errLine      = &refusal{400, "malformed request line"}
	errName      = &refusal{400, "malformed field name"}
	errFold      = &refusal{400, "folded field"}
	errValue     = &refusal{400, "malformed field value"}
	errHost      = &refusal{400, "not exactly one valid Host"}
	errLength    = &refusal{400, "malformed or repeated Content-Length"}
	errCoding    = &refusal{400, "unknown or repeated Transfer-Encoding"}
	errBoth      = &refusal{400, "Content-Length beside Transfer-Encoding"}
	errTooMany   = &refusal{431, "too many fields"}
	errTooLarge  = &refusal{431, "head too large"}
	errVersion   = &refusal{505, "not HTTP/1.0 or HTTP/1.1"}
	errBadStatus = &refusal{502, "malformed status line"}
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

// parseRequest reads a request's head from the start of b. It returns the head's length, errMore, or a *refusal. The
// first seen bytes of b were searched before.
func (h *head) parseRequest(b []byte, seen int) (int, error) {
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
	if hosts > 1 || hosts == 0 && h.minor == 1 {
		return 0, errHost
	}
	if h.chunked && h.minor == 0 {
		return 0, errCoding
	}
	h.upgrade = h.upgrade && h.minor == 1 && h.length <= 0 && !h.chunked && string(h.method.of(b)) == "GET"
	return end, nil
}

// originForm makes a target in absolute form one in origin form, as a proxy has to (RFC 9112, section 3.2.2): servers look
// for their path at its start. Without a path, one has to be written before what is left. False: there is no host in it.
func (h *head) originForm(b []byte) bool {
	target := h.target.of(b)
	from := bytes.Index(target, []byte("://")) + 3
	to := from
	for to < len(target) && isHost[target[to]] {
		to++
	}
	if to == from || to < len(target) && target[to] != '/' && target[to] != '?' {
		return false
	}
	at := h.target.from
	h.authority, h.target.from = span{at + uint16(from), at + uint16(to)}, at+uint16(to)
	return true
}

// host is the host that a request is for; nil: it names none.
func (h *head) host(b []byte) []byte {
	if h.authority.to > 0 {
		return h.authority.of(b)
	}
	return h.value(b, fieldHost)
}

// parseResponse is parseRequest for a response.
func (h *head) parseResponse(b []byte, seen int) (int, error) {
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
func (h *head) reset(b []byte, seen int) (end int, err error) {
	from := max(seen-3, 0)
	i := bytes.Index(b[from:], []byte("\r\n\r\n"))
	if i < 0 {
		// A head with bare LFs would never end: refused at once.
		if lf := bytes.IndexByte(b, '\n'); lf == 0 || lf > 0 && b[lf-1] != '\r' {
			return 0, errBareLF
		}
		if len(b) > maxHead {
			return 0, errTooLarge
		}
		return 0, errMore
	}
	if end = from + i + 4; end > maxHead {
		return 0, errTooLarge
	}
	h.n, h.status, h.length, h.authority = 0, 0, -1, span{}
	h.chunked, h.close, h.keepAlive, h.upgrade, h.expect, h.named = false, false, false, false, false, false
	return end, nil
}

// requestLine returns where the fields begin.
func (h *head) requestLine(b []byte) (int, error) {
	i := 0
	for isToken[b[i]] {
		i++
	}
	if i == 0 || b[i] != ' ' {
		return 0, errLine
	}
	j := i + 1
	for isTarget[b[j]] {
		j++
	}
	if j == i+1 || b[j] != ' ' {
		return 0, errLine
	}
	h.method, h.target = span{0, uint16(i)}, span{uint16(i + 1), uint16(j)}
	v := b[j+1:]
	k := bytes.IndexByte(v, '\n')
	if k < 1 || v[k-1] != '\r' {
		return 0, errBareLF
	}
	if v = v[:k-1]; len(v) != 8 || string(v[:7]) != "HTTP/1." || v[7] != '0' && v[7] != '1' {
		return 0, errVersion
	}
	h.minor = v[7] - '0'
	return j + 1 + k + 1, nil
}

// statusLine returns where the fields begin.
func (h *head) statusLine(b []byte) (int, error) {
	k := bytes.IndexByte(b, '\n')
	if k < 13 || b[k-1] != '\r' || string(b[:7]) != "HTTP/1." || b[7] != '0' && b[7] != '1' || b[8] != ' ' {
		return 0, errBadStatus
	}
	for _, c := range b[9:12] {
		if c < '0' || c > '9' {
			return 0, errBadStatus
		}
		h.status = h.status*10 + int(c-'0')
	}
	if h.status < 100 || b[12] != ' ' && b[12] != '\r' {
		return 0, errBadStatus
	}
	for _, c := range b[12 : k-1] {
		if !isValue[c] {
			return 0, errBadStatus
		}
	}
	h.minor = b[7] - '0'
	return k + 1, nil
}

// parseFields reads the fields from p to the empty line that ends b. Every scan stops there at the latest.
func (h *head) parseFields(b []byte, p int) (hosts int, err error) {
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
				return 0, errBareLF
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
				return 0, errBareLF
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
		*f = field{span{uint16(p), uint16(q)}, span{uint16(from), uint16(to)}, fieldOf(b[p:q])}
		h.n++
		v := b[from:to]
		switch f.id {
		case fieldHost:
			hosts++
			for _, c := range v {
				if !isHost[c] {
					return 0, errHost
				}
			}
		case fieldContentLength:
			if lengths++; !h.parseLength(v) || lengths > 1 {
				return 0, errLength
			}
		case fieldTransferEncoding:
			if codings++; !equalFold(v, "chunked") || codings > 1 {
				return 0, errCoding
			}
			h.chunked = true
		case fieldConnection:
			upgrade = h.parseConnection(v) || upgrade
		case fieldUpgrade:
			websocket = websocket || equalFold(v, "websocket")
		case fieldExpect:
			h.expect = true
		}
		p = next
	}
	if p != len(b)-2 {
		return 0, errBareLF
	}
	if lengths > 0 && codings > 0 {
		return 0, errBoth
	}
	if h.minor == 0 && !h.keepAlive {
		h.close = true
	}
	h.upgrade = websocket && upgrade
	return hosts, nil
}

func (h *head) parseLength(v []byte) bool {
	if len(v) == 0 || len(v) > 18 {
		return false
	}
	h.length = 0
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
		h.length = h.length*10 + int64(c-'0')
	}
	return true
}

// parseConnection tells whether v has the upgrade token.
func (h *head) parseConnection(v []byte) (upgrade bool) {
	for t, rest := token(v); t != nil; t, rest = token(rest) {
		switch {
		case equalFold(t, "close"):
			h.close = true
		case equalFold(t, "keep-alive"):
			h.keepAlive = true
		case equalFold(t, "upgrade"):
			upgrade = true
		case len(t) > 0:
			h.named = true
		}
	}
	return upgrade
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

// isNamed tells whether a Connection field names the field called name.
func (h *head) isNamed(b, name []byte) bool {
	for i := range h.n {
		if h.fields[i].id != fieldConnection {
			continue
		}
		for t, rest := token(h.fields[i].value.of(b)); t != nil; t, rest = token(rest) {
			if bytes.EqualFold(t, name) {
				return true
			}
		}
	}
	return false
}

// value returns the first field of that id, nil if there is none.
func (h *head) value(b []byte, id fieldID) []byte {
	for i := range h.n {
		if h.fields[i].id == id {
			return h.fields[i].value.of(b)
		}
	}
	return nil
}

// passesUntouched tells whether a worker may read this request as its client wrote it: an upgrade that says nothing about
// where it comes from.
func (h *head) passesUntouched(b []byte) bool {
	if b[h.target.from] != '/' {
		return false
	}
	for i := range h.n {
		switch h.fields[i].id {
		case fieldForwarded, fieldForwardedFor, fieldForwardedProto, fieldForwardedHost, fieldSidereal, fieldSiderealWorker, fieldSiderealKey:
			return false
		}
	}
	return h.upgrade && !h.expect
}

// fieldOf tells a field by its name.
func fieldOf(n []byte) fieldID {
	switch len(n) {
	case 2:
		if equalFold(n, "te") {
			return fieldHop
		}
	case 4:
		if equalFold(n, "host") {
			return fieldHost
		}
	case 6:
		if equalFold(n, "expect") {
			return fieldExpect
		}
		if equalFold(n, "origin") {
			return fieldOrigin
		}
	case 7:
		if equalFold(n, "upgrade") {
			return fieldUpgrade
		}
		if equalFold(n, "trailer") {
			return fieldHop
		}
	case 9:
		if equalFold(n, "forwarded") {
			return fieldForwarded
		}
		if equalFold(n, "x-real-ip") {
			return fieldForwarded
		}
	case 10:
		if equalFold(n, "connection") {
			return fieldConnection
		}
		if equalFold(n, "keep-alive") {
			return fieldHop
		}
	case 14:
		if equalFold(n, "content-length") {
			return fieldContentLength
		}
	case 15:
		if equalFold(n, "accept-encoding") {
			return fieldAcceptEncoding
		}
	case 17:
		if equalFold(n, "transfer-encoding") {
			return fieldTransferEncoding
		}
	}
	switch n[0] | 0x20 {
	case 'x':
		return forwardedField(n)
	case 'p':
		if foldPrefix(n, "proxy-") {
			return fieldHop
		}
	case 's':
		return siderealField(n)
	}
	return fieldOther
}

func forwardedField(n []byte) fieldID {
	switch {
	case !foldPrefix(n, "x-forwarded-"):
		return fieldOther
	case equalFold(n, "x-forwarded-for"):
		return fieldForwardedFor
	case equalFold(n, "x-forwarded-proto"):
		return fieldForwardedProto
	case equalFold(n, "x-forwarded-host"):
		return fieldForwardedHost
	}
	return fieldForwarded
}

func siderealField(n []byte) fieldID {
	switch {
	case !foldPrefix(n, "sidereal-"):
		return fieldOther
	case equalFold(n, "sidereal-worker"):
		return fieldSiderealWorker
	case equalFold(n, "sidereal-key"):
		return fieldSiderealKey
	}
	return fieldSidereal
}

// equalFold compares with a lower-case ASCII text. (bytes.EqualFold would take the Kelvin sign for a k.)
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func foldPrefix(b []byte, lower string) bool {
	return len(b) >= len(lower) && equalFold(b[:len(lower)], lower)
}
