package wire

import (
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// AppendPayload appends p to dst as msgpack, its attachments where the placeholders are. It fails on text that is not JSON.
func AppendPayload(dst []byte, p packet.Payload) ([]byte, error) {
	return appendDated(dst, p.JSON, p.Attachments, p.Dates)
}

func appendValue(dst, text []byte, attachments [][]byte) ([]byte, error) {
	return appendDated(dst, text, attachments, nil)
}

func appendDated(dst, text []byte, attachments [][]byte, dates []int) ([]byte, error) {
	w := msgpackWriter{text: text, out: dst, attachments: attachments, dates: dates}
	w.space()
	if err := w.value(0); err != nil {
		return dst, err
	}
	w.space()
	if w.i != len(text) {
		return dst, ErrMalformed
	}
	return w.out, nil
}

// msgpackWriter turns JSON text into msgpack while it reads.
type msgpackWriter struct {
	text        []byte
	i           int
	out         []byte
	attachments [][]byte
	dates       []int // where in text there is one, as in packet.Payload
	sent        once
}

// once takes each attachment one time. All that make payloads give every placeholder an attachment of its own; what else has the
// form of a placeholder is a client's plain data, and would have an attachment copied as often as the client likes.
type once struct {
	low  uint64 // the first 64, without allocating
	more []uint64
}

// take reports whether it is the first time that n is taken.
func (o *once) take(n int) bool {
	set := &o.low
	if n >= 64 {
		for len(o.more) < n/64 {
			o.more = append(o.more, 0)
		}
		set = &o.more[n/64-1]
	}
	before := *set
	*set |= 1 << (n % 64)
	return *set != before
}

func (w *msgpackWriter) peek() byte {
	if w.i < len(w.text) {
		return w.text[w.i]
	}
	return 0
}

func (w *msgpackWriter) space() {
	for w.i < len(w.text) {
		switch w.text[w.i] {
		case ' ', '\t', '\n', '\r':
			w.i++
		default:
			return
		}
	}
}

// take consumes c and the space around it.
func (w *msgpackWriter) take(c byte) bool {
	w.space()
	if w.peek() != c {
		return false
	}
	w.i++
	w.space()
	return true
}

func (w *msgpackWriter) literal(s string, code byte) error {
	if len(w.text)-w.i < len(s) || string(w.text[w.i:w.i+len(s)]) != s {
		return ErrMalformed
	}
	w.i += len(s)
	w.out = append(w.out, code)
	return nil
}

func (w *msgpackWriter) value(depth int) error {
	switch c := w.peek(); c {
	case '{':
		if n, end, ok := w.placeholder(); ok && w.sent.take(n) {
			w.out = appendBinary(w.out, w.attachments[n])
			w.i = end
			return nil
		}
		return w.container(depth+1, '}', 0x80, 0xde)
	case '[':
		return w.container(depth+1, ']', 0x90, 0xdc)
	case '"':
		if len(w.dates) > 0 && w.date() {
			return nil
		}
		return w.string()
	case 't':
		return w.literal("true", 0xc3)
	case 'f':
		return w.literal("false", 0xc2)
	case 'n':
		return w.literal("null", 0xc0)
	default:
		return w.number()
	}
}

// container writes an object or an array: a header for up to 15 members first, which is widened should there be more.
func (w *msgpackWriter) container(depth int, closing, fix, sized byte) error {
	if depth > maxDepth {
		return ErrMalformed
	}
	w.i++
	w.space()
	header, n := len(w.out), 0
	w.out = append(w.out, fix)
	for first := true; w.peek() != closing; first = false {
		if !first && !w.take(',') {
			return ErrMalformed
		}
		before, proto := len(w.out), false
		if closing == '}' {
			var err error
			if proto, err = w.key(); err != nil {
				return err
			}
		}
		if err := w.value(depth); err != nil {
			return err
		}
		w.space()
		if proto {
			w.out = w.out[:before]
		} else {
			n++
		}
	}
	w.i++
	w.setCount(header, n, sized)
	return nil
}

// setCount puts the number of members into the header written before them.
func (w *msgpackWriter) setCount(header, n int, sized byte) {
	switch {
	case n < 16:
		w.out[header] |= byte(n)
	case n <= math.MaxUint16:
		w.out[header] = sized
		w.out = slices.Insert(w.out, header+1, byte(n>>8), byte(n))
	default:
		w.out[header] = sized + 1
		w.out = slices.Insert(w.out, header+1, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
}

func (w *msgpackWriter) key() (proto bool, err error) {
	from := len(w.out)
	if err := w.string(); err != nil {
		return false, err
	}
	// A key this short has a header of one byte.
	proto = len(w.out)-from == 1+len(protoKey) && string(w.out[from+1:]) == protoKey
	if !w.take(':') {
		return false, ErrMalformed
	}
	return proto, nil
}

// string writes the string at the cursor.
func (w *msgpackWriter) string() error {
	if w.peek() != '"' {
		return ErrMalformed
	}
	w.i++
	from, escaped, ascii := w.i, false, true
	for {
		if w.i >= len(w.text) || w.text[w.i] < ' ' {
			return ErrMalformed
		}
		c := w.text[w.i]
		if c == '"' {
			break
		}
		if c == '\\' {
			escaped = true
			w.i++
		}
		ascii = ascii && c < utf8.RuneSelf
		w.i++
	}
	s := w.text[from:w.i]
	w.i++
	if !escaped && (ascii || utf8.Valid(s)) {
		w.out = appendString(w.out, s)
		return nil
	}
	return w.unescape(s)
}

// date writes the date at the cursor, if there is one.
func (w *msgpackWriter) date() bool {
	for len(w.dates) > 0 && w.dates[0] < w.i {
		w.dates = w.dates[1:]
	}
	end := w.i + 1 + len(dateLayout) + 1
	if len(w.dates) == 0 || w.dates[0] != w.i || end > len(w.text) {
		return false
	}
	t, err := time.Parse(dateLayout, string(w.text[w.i+1:end-1]))
	if err != nil { // of a year that JavaScript writes in six digits
		return false
	}
	w.out = appendTime(w.out, t)
	w.i = end
	return true
}

// unescape writes a string whose length is known only once it is unescaped: in front of it goes the longest header that it
// could need, and what was too long is closed up.
func (w *msgpackWriter) unescape(s []byte) error {
	header := len(w.out)
	w.out = append(w.out, 0, 0, 0, 0, 0)
	content := len(w.out)
	var err error
	if w.out, err = appendUnescaped(w.out, s); err != nil {
		return err
	}
	n := len(w.out) - content
	body := w.out[content:]
	w.out = appendStringHeader(w.out[:header], n)
	w.out = append(w.out, body...)
	return nil
}

// placeholder reports whether the object at the cursor stands for an attachment, which one, and where it ends.
func (w *msgpackWriter) placeholder() (n, end int, ok bool) {
	if len(w.attachments) == 0 {
		return 0, 0, false
	}
	p := msgpackWriter{text: w.text, i: w.i}
	marked, num := false, -1
	for _, before := range [...]byte{'{', ','} {
		if !p.take(before) {
			return 0, 0, false
		}
		switch {
		case p.word(`"_placeholder"`):
			marked = p.take(':') && p.word("true")
		case p.word(`"num"`) && p.take(':'):
			num = p.digits()
		}
	}
	ok = p.take('}') && marked && num >= 0 && num < len(w.attachments)
	return num, p.i, ok
}

func (w *msgpackWriter) word(s string) bool {
	ok := len(w.text)-w.i >= len(s) && string(w.text[w.i:w.i+len(s)]) == s
	if ok {
		w.i += len(s)
	}
	return ok
}

func (w *msgpackWriter) digits() int {
	from := w.i
	for w.peek() >= '0' && w.peek() <= '9' {
		w.i++
	}
	n, err := strconv.Atoi(string(w.text[from:w.i]))
	if err != nil {
		return -1
	}
	return n
}
