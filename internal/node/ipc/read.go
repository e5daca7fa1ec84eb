package ipc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
)

// ErrMalformed reports a frame that Node wouldn't send, or one beyond the limits of this package.
// The child is at fault.
var ErrMalformed = errors.New("ipc: malformed frame")

// readV8 decodes V8's structured clone.
func readV8(b []byte) (Value, error) {
	r := &reader{b: b}
	if tag := r.byte(); tag != headerTag {
		r.fail("no header")
	}
	if version := r.varint(); r.err == nil && (version < firstVersion || version > lastVersion) {
		r.fail(fmt.Sprintf("version %d", version))
	}
	v := r.value()
	if r.err == nil && r.pos != len(b) {
		r.fail("bytes behind the value")
	}
	return v, r.err
}

// reader decodes one frame. After its first error it returns zero values.
type reader struct {
	b        []byte
	pos      int
	err      error
	depth    int
	elements int
	refs     []Value // the targets of ^, in the order in which they began
}

func (r *reader) fail(why string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s at byte %d", ErrMalformed, why, r.pos)
		r.pos = len(r.b)
	}
}

func (r *reader) byte() byte {
	if r.pos >= len(r.b) {
		r.fail("it ends early")
		return 0
	}
	r.pos++
	return r.b[r.pos-1]
}

// tag reads the next tag. It skips padding.
func (r *reader) tag() byte {
	for {
		if c := r.byte(); c != tagPadding || r.err != nil {
			return c
		}
	}
}

// next reads the next tag if it is t, and reports whether it was.
func (r *reader) next(t byte) bool {
	for r.pos < len(r.b) && r.b[r.pos] == tagPadding {
		r.pos++
	}
	if r.pos < len(r.b) && r.b[r.pos] == t {
		r.pos++
		return true
	}
	return false
}

func (r *reader) varint() uint32 {
	n, size := binary.Uvarint(r.b[r.pos:])
	if size <= 0 || n > math.MaxUint32 {
		r.fail("not a length")
		return 0
	}
	r.pos += size
	return uint32(n)
}

// bytes reads n bytes.
func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.pos) {
		r.fail("it ends early")
		return nil
	}
	r.pos += int(n)
	return r.b[r.pos-int(n) : r.pos]
}

func (r *reader) double() float64 {
	b := r.bytes(8)
	if b == nil {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// begin stores an object that later references may name, and returns its number.
func (r *reader) begin(v Value) int {
	r.refs = append(r.refs, v)
	return len(r.refs) - 1
}

// element counts an element. It returns false after an error, such as too many elements.
func (r *reader) element() bool {
	if r.elements++; r.elements > maxElements {
		r.fail("too many elements")
	}
	return r.err == nil
}

func (r *reader) value() Value {
	if r.depth++; r.depth > maxDepth {
		r.fail("too deep")
	}
	if !r.element() {
		return nil
	}
	defer func() { r.depth-- }()
	return r.tagged(r.tag())
}

func (r *reader) tagged(tag byte) Value {
	switch tag {
	case tagUndefined, tagHole:
		return Undefined{}
	case tagNull:
		return nil
	case tagTrue, tagFalse:
		return tag == tagTrue
	case tagInt32:
		n := r.varint()
		return float64(int32(n>>1) ^ -int32(n&1))
	case tagUint32:
		return float64(r.varint())
	case tagDouble:
		return r.double()
	case tagLatin1, tagUTF16, tagUTF8:
		return r.text(tag)
	case tagBigInt:
		return r.bigInt()
	case tagReference:
		if id := r.varint(); r.err == nil && id < uint32(len(r.refs)) {
			return r.refs[id]
		}
		r.fail("reference to nothing")
		return nil
	case tagObject:
		return r.object()
	case tagDense:
		return r.dense()
	case tagSparse:
		return r.sparse()
	case tagHost:
		return r.host()
	}
	return r.rare(tag)
}

// rare reads the values that servers' messages seldom have.
func (r *reader) rare(tag byte) Value {
	switch tag {
	case tagDate:
		id := r.begin(nil)
		return r.note(id, Date(r.double()))
	case tagTrueObject, tagFalseObject:
		return r.note(r.begin(nil), tag == tagTrueObject)
	case tagNumberObject:
		id := r.begin(nil)
		return r.note(id, r.double())
	case tagStringObject:
		id := r.begin(nil)
		return r.note(id, r.text(r.tag()))
	case tagBigIntObject:
		id := r.begin(nil)
		return r.note(id, r.bigInt())
	case tagRegExp:
		id := r.begin(RegExp)
		r.text(r.tag())
		r.varint() // its flags
		return r.refs[id]
	case tagMap, tagSet:
		return r.collection(tag)
	case tagArrayBuffer:
		id := r.begin(nil)
		return r.note(id, r.bytes(r.varint()))
	case tagError:
		return r.error()
	}
	r.fail("unknown tag " + strconv.QuoteRune(rune(tag)))
	return nil
}

func (r *reader) note(id int, v Value) Value {
	r.refs[id] = v
	return v
}

func (r *reader) text(tag byte) string {
	b := r.bytes(r.varint())
	switch tag {
	case tagLatin1:
		return fromLatin1(b)
	case tagUTF16:
		if len(b)%2 != 0 {
			r.fail("half a character")
			return ""
		}
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(b[2*i:])
		}
		return string(utf16.Decode(units)) // a half of a surrogate pair becomes U+FFFD
	case tagUTF8:
		return string(b)
	}
	r.fail("no text")
	return ""
}

func fromLatin1(b []byte) string {
	ascii := true
	for _, c := range b {
		ascii = ascii && c < 0x80
	}
	if ascii {
		return string(b)
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

func (r *reader) bigInt() Value {
	r.bytes(r.varint() >> 1) // above the sign: how many bytes
	return BigInt
}

func (r *reader) object() Value {
	o := &Object{}
	r.begin(o)
	n := r.properties(o, tagObjectEnd)
	if count := r.varint(); r.err == nil && int64(count) != int64(n) {
		r.fail("object with another number of properties")
	}
	return o
}

// properties reads keys and values until end into o. It drops them if o is nil.
func (r *reader) properties(o *Object, end byte) (n int) {
	for r.err == nil && !r.next(end) {
		key := r.key()
		v := r.value()
		if o != nil && r.err == nil {
			o.Set(key, v)
		}
		n++
	}
	return n
}

// key reads the name of a property. Node sends names that look like integers as numbers.
func (r *reader) key() string {
	switch tag := r.tag(); tag {
	case tagLatin1, tagUTF16, tagUTF8:
		return r.text(tag)
	case tagInt32, tagUint32, tagDouble:
		f, _ := r.tagged(tag).(float64)
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	r.fail("no name of a property")
	return ""
}

func (r *reader) dense() Value {
	a := &Array{}
	r.begin(a)
	n := r.varint()
	if int64(n) > int64(len(r.b)-r.pos) { // an item has a byte at least
		r.fail("it ends early")
		return a
	}
	for i := uint32(0); i < n && r.err == nil; i++ {
		a.Items = append(a.Items, r.value())
	}
	r.properties(nil, tagDenseEnd)
	r.varint() // their number
	if length := r.varint(); r.err == nil && length != n {
		r.fail("array of another length")
	}
	return a
}

func (r *reader) sparse() Value {
	a := &Array{}
	r.begin(a)
	n := r.varint()
	if r.elements += int(min(n, maxElements)); r.elements > maxElements {
		r.fail("too many elements")
		return a
	}
	a.Items = make([]Value, n)
	for i := range a.Items {
		a.Items[i] = Undefined{}
	}
	for r.err == nil && !r.next(tagSparseEnd) {
		key := r.key()
		v := r.value()
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(a.Items) {
			a.Items[i] = v
		}
	}
	r.varint()
	if length := r.varint(); r.err == nil && length != n {
		r.fail("array of another length")
	}
	return a
}

// host reads the additions of Node's own serializer to V8's: views of binary data, and native
// objects.
func (r *reader) host() Value {
	id := r.begin(nil)
	switch r.varint() {
	case hostView:
		r.varint() // which kind of view
		return r.note(id, r.bytes(r.varint()))
	case hostPlain:
		return r.note(id, r.value())
	}
	r.fail("unknown host object")
	return nil
}

func (r *reader) collection(tag byte) Value {
	kind, end, each := Map, byte(tagMapEnd), uint32(2)
	if tag == tagSet {
		kind, end, each = Set, tagSetEnd, 1
	}
	r.begin(kind)
	n := uint32(0)
	for r.err == nil && !r.next(end) {
		r.value()
		n++
	}
	if r.varint() != n || n%each != 0 {
		r.fail("collection of another size")
	}
	return kind
}

func (r *reader) error() Value {
	r.begin(Error)
	for r.err == nil {
		switch r.varint() {
		case errorEnd:
			return Error
		case errorMessage, errorStack:
			r.text(r.tag())
		case errorCause:
			r.value()
		case 'E', 'R', 'F', 'S', 'T', 'U': // which class of error
		default:
			r.fail("unknown part of an error")
		}
	}
	return nil
}
