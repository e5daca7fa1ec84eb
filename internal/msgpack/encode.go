package msgpack

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sidereal-io/sidereal/internal/number"
)

// Text turns JSON text with placeholders into MessagePack while it reads, each header in its
// smallest form, as notepack writes it. Its other methods read the text without writing anything.
type Text struct {
	In          []byte
	I           int // how much of it is read
	Out         []byte
	Attachments [][]byte
	Dates       []int // where in In there is one, as in packet.Payload
	MaxDepth    int   // 0: none

	sent Once
	wide []wide
}

// wide is the header of an array or a map with so many members that it needs more than the one byte
// which was left for it. The bytes are made room for once, at the end: a header at a time moved
// what was nested in 500 arrays as often.
type wide struct{ at, n int }

// Once takes each attachment one time. All that make payloads give every placeholder an attachment
// of its own; what else has the form of a placeholder is a client's plain data, and would have an
// attachment copied as often as the client likes.
type Once struct {
	low  uint64   // the first 64, without allocating
	more []uint64 // in 64s
}

// Take reports whether it is the first time that n is taken.
func (o *Once) Take(n int) bool {
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

// Peek is the byte at the cursor, 0 at the end.
func (w *Text) Peek() byte {
	if w.I < len(w.In) {
		return w.In[w.I]
	}
	return 0
}

// Space moves the cursor over space.
func (w *Text) Space() {
	for w.I < len(w.In) {
		switch w.In[w.I] {
		case ' ', '\t', '\n', '\r':
			w.I++
		default:
			return
		}
	}
}

// Take consumes c and the space around it.
func (w *Text) Take(c byte) bool {
	w.Space()
	if w.Peek() != c {
		return false
	}
	w.I++
	w.Space()
	return true
}

// open is an array or an object that is being read.
type open struct {
	closing byte
	fresh   bool // nothing in it was read
	proto   bool // the member that is being read is to be left out
	header  int  // where its header is in Out
	before  int  // where the member begins
	n       int  // members written
}

// Value writes the value at the cursor.
func (w *Text) Value() error {
	var room [frames]open
	stack := room[:0]
	for {
		inner, err := w.one()
		if err != nil {
			return err
		}
		if inner.closing != 0 {
			if len(stack) == w.MaxDepth && w.MaxDepth > 0 {
				return ErrMalformed
			}
			stack = append(stack, inner)
		}
		for {
			if len(stack) == 0 {
				w.widen()
				return nil
			}
			more, err := w.member(&stack[len(stack)-1])
			if err != nil {
				return err
			}
			if more {
				break
			}
			stack = stack[:len(stack)-1]
		}
	}
}

// member goes on behind a member, or behind the bracket that opens o. It reports false at the end
// of o.
func (w *Text) member(o *open) (more bool, err error) {
	w.Space()
	switch {
	case o.fresh:
		o.fresh = false
		if w.Peek() == o.closing {
			w.end(o)
			return false, nil
		}
	default:
		if o.proto {
			w.Out = w.Out[:o.before]
			for len(w.wide) > 0 && w.wide[len(w.wide)-1].at >= o.before {
				w.wide = w.wide[:len(w.wide)-1]
			}
		} else {
			o.n++
		}
		if w.Peek() == o.closing {
			w.end(o)
			return false, nil
		}
		if !w.Take(',') {
			return false, ErrMalformed
		}
	}
	if o.closing == '}' {
		o.before = len(w.Out)
		o.proto, err = w.key()
	}
	return true, err
}

// end counts the members in the header.
func (w *Text) end(o *open) {
	w.I++
	if o.n < 16 {
		w.Out[o.header] |= byte(o.n)
	} else {
		w.wide = append(w.wide, wide{o.header, o.n})
	}
}

// widen makes room for the headers that need it.
func (w *Text) widen() {
	if len(w.wide) == 0 {
		return
	}
	slices.SortFunc(w.wide, func(a, b wide) int { return cmp.Compare(a.at, b.at) })
	more := 0
	for _, h := range w.wide {
		more += h.size()
	}
	end := len(w.Out)
	w.Out = append(w.Out, make([]byte, more)...)
	for i := len(w.wide) - 1; i >= 0; i-- {
		h := w.wide[i]
		copy(w.Out[h.at+1+more:], w.Out[h.at+1:end])
		end = h.at
		few := w.Out[h.at]
		more -= h.size()
		h.put(w.Out[h.at+more:], few)
	}
	w.wide = w.wide[:0]
}

// size is how many bytes a header takes beyond its first.
func (h wide) size() int {
	if h.n <= math.MaxUint16 {
		return 2
	}
	return 4
}

// put writes a header in the place of one for few members.
func (h wide) put(dst []byte, few byte) {
	dst[0] = 0xdc // an array
	if few == 0x80 {
		dst[0] = 0xde // a map
	}
	if h.n <= math.MaxUint16 {
		binary.BigEndian.PutUint16(dst[1:], uint16(h.n))
		return
	}
	dst[0]++
	binary.BigEndian.PutUint32(dst[1:], uint32(h.n))
}

// one writes the value at the cursor. Of an array or an object it takes only the bracket that opens
// it.
func (w *Text) one() (inner open, err error) {
	switch c := w.Peek(); c {
	case '{':
		if n, end, ok := w.Placeholder(); ok && w.sent.Take(n) {
			w.Out = AppendBinary(w.Out, w.Attachments[n])
			w.I = end
			return inner, nil
		}
		return w.open('}', 0x80), nil
	case '[':
		return w.open(']', 0x90), nil
	case '"':
		if len(w.Dates) > 0 && w.date() {
			return inner, nil
		}
		return inner, w.string()
	case 't':
		return inner, w.literal("true", 0xc3)
	case 'f':
		return inner, w.literal("false", 0xc2)
	case 'n':
		return inner, w.literal("null", 0xc0)
	default:
		return inner, w.number()
	}
}

// open writes a header for few members.
func (w *Text) open(closing, few byte) open {
	w.I++
	w.Out = append(w.Out, few)
	return open{closing: closing, fresh: true, header: len(w.Out) - 1}
}

func (w *Text) literal(s string, code byte) error {
	if len(w.In)-w.I < len(s) || string(w.In[w.I:w.I+len(s)]) != s {
		return ErrMalformed
	}
	w.I += len(s)
	w.Out = append(w.Out, code)
	return nil
}

func (w *Text) key() (proto bool, err error) {
	from := len(w.Out)
	if err := w.string(); err != nil {
		return false, err
	}
	// A key this short has a header of one byte.
	proto = len(w.Out)-from == 1+len(protoKey) && string(w.Out[from+1:]) == protoKey
	if !w.Take(':') {
		return false, ErrMalformed
	}
	return proto, nil
}

// string writes the string at the cursor.
func (w *Text) string() error {
	if w.Peek() != '"' {
		return ErrMalformed
	}
	w.I++
	from, escaped, ascii := w.I, false, true
	for {
		if w.I >= len(w.In) || w.In[w.I] < ' ' {
			return ErrMalformed
		}
		c := w.In[w.I]
		if c == '"' {
			break
		}
		if c == '\\' {
			escaped = true
			w.I++
		}
		ascii = ascii && c < utf8.RuneSelf
		w.I++
	}
	s := w.In[from:w.I]
	w.I++
	if !escaped && (ascii || utf8.Valid(s)) {
		w.Out = AppendString(w.Out, s)
		return nil
	}
	return w.unescape(s)
}

// date writes the date at the cursor, if there is one.
func (w *Text) date() bool {
	for len(w.Dates) > 0 && w.Dates[0] < w.I {
		w.Dates = w.Dates[1:]
	}
	end := w.I + 1 + len(dateLayout) + 1
	if len(w.Dates) == 0 || w.Dates[0] != w.I || end > len(w.In) {
		return false
	}
	t, err := time.Parse(dateLayout, string(w.In[w.I+1:end-1]))
	if err != nil { // of a year that JavaScript writes in six digits
		return false
	}
	w.Out = AppendTime(w.Out, t)
	w.I = end
	return true
}

// unescape writes a string whose length is known only once it is unescaped: in front of it goes the
// longest header that it could need, and what was too long is closed up.
func (w *Text) unescape(s []byte) error {
	header := len(w.Out)
	w.Out = append(w.Out, 0, 0, 0, 0, 0)
	content := len(w.Out)
	var err error
	if w.Out, err = appendUnescaped(w.Out, s); err != nil {
		return err
	}
	n := len(w.Out) - content
	body := w.Out[content:]
	w.Out = appendStringHeader(w.Out[:header], n)
	w.Out = append(w.Out, body...)
	return nil
}

// Placeholder reports whether the object at the cursor stands for an attachment, which one, and
// where it ends.
func (w *Text) Placeholder() (n, end int, ok bool) {
	if len(w.Attachments) == 0 {
		return 0, 0, false
	}
	p := Text{In: w.In, I: w.I}
	marked, num := false, -1
	for _, before := range [...]byte{'{', ','} {
		if !p.Take(before) {
			return 0, 0, false
		}
		switch {
		case p.word(`"_placeholder"`):
			marked = p.Take(':') && p.word("true")
		case p.word(`"num"`) && p.Take(':'):
			num = p.digits()
		}
	}
	ok = p.Take('}') && marked && num >= 0 && num < len(w.Attachments)
	return num, p.I, ok
}

func (w *Text) word(s string) bool {
	ok := len(w.In)-w.I >= len(s) && string(w.In[w.I:w.I+len(s)]) == s
	if ok {
		w.I += len(s)
	}
	return ok
}

func (w *Text) digits() int {
	from := w.I
	for w.Peek() >= '0' && w.Peek() <= '9' {
		w.I++
	}
	n, err := strconv.Atoi(string(w.In[from:w.I]))
	if err != nil {
		return -1
	}
	return n
}

// number writes the number at the cursor: as an integer when it is one, however it was spelled.
func (w *Text) number() error {
	from := w.I
	integral := scanNumber(w.In, &w.I)
	text := w.In[from:w.I]
	if len(text) == 0 {
		return ErrMalformed
	}
	if integral && len(text) <= 15 {
		n, _ := strconv.ParseInt(string(text), 10, 64)
		w.Out = AppendInt(w.Out, n)
		return nil
	}
	f := number.Parse(text)
	if integral && string(number.Append(make([]byte, 0, 32), f, 64)) != string(text) {
		// Not how JavaScript would print any double: an integer of a Go server, exact.
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			w.Out = AppendInt(w.Out, n)
			return nil
		}
		if n, err := strconv.ParseUint(string(text), 10, 64); err == nil {
			w.Out = AppendUint(w.Out, n)
			return nil
		}
	}
	w.Out = AppendFloat(w.Out, f)
	return nil
}

// scanNumber moves *i past the JSON number there (not at all, if it is none) and tells whether it
// has neither fraction nor exponent.
func scanNumber(text []byte, i *int) (integral bool) {
	at := func(j int) byte {
		if j < len(text) {
			return text[j]
		}
		return 0
	}
	digits := func(j int) int {
		for at(j) >= '0' && at(j) <= '9' {
			j++
		}
		return j
	}
	j := *i
	if at(j) == '-' {
		j++
	}
	start := j
	j = digits(j)
	if j == start || at(start) == '0' && j > start+1 {
		return false
	}
	integral = true
	if at(j) == '.' {
		k := digits(j + 1)
		if k == j+1 {
			return false
		}
		j, integral = k, false
	}
	if at(j) == 'e' || at(j) == 'E' {
		k := j + 1
		if at(k) == '+' || at(k) == '-' {
			k++
		}
		end := digits(k)
		if end == k {
			return false
		}
		j, integral = end, false
	}
	*i = j
	return integral
}
