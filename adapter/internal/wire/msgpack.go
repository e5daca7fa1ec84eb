package wire

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrMalformed reports bytes that no adapter of Node would have written. The sender is at fault; the receiver counts the
// message and drops it.
var ErrMalformed = errors.New("wire: malformed message")

// maxDepth bounds how deep arrays and maps may nest. Node's notepack has no bound, @msgpack/msgpack stops at 100.
const maxDepth = 512

type kind uint8

const (
	kindNil kind = iota
	kindBool
	kindInt   // negative, in num as two's complement
	kindUint  // in num
	kindFloat // in num as IEEE 754 bits
	kindString
	kindBinary
	kindArray
	kindMap
	kindExt
)

// value is one msgpack value; of an array or a map only its header.
type value struct {
	kind  kind
	ext   int8   // type of a kindExt
	fixed bool   // a kindExt whose length the type byte gave
	count int    // elements of an array, pairs of a map
	num   uint64 // numbers and booleans
	data  []byte // content of a string, binary or ext; aliases the message
}

// reader walks the values of a message without allocating.
type reader struct {
	b []byte
	i int
}

// next reads one value. After the header of an array or a map its elements follow.
func (r *reader) next() (value, error) {
	if r.i >= len(r.b) {
		return value{}, ErrMalformed
	}
	c := r.b[r.i]
	r.i++
	switch {
	case c < 0x80:
		return value{kind: kindUint, num: uint64(c)}, nil
	case c < 0x90:
		return r.container(kindMap, uint64(c&0x0f))
	case c < 0xa0:
		return r.container(kindArray, uint64(c&0x0f))
	case c < 0xc0:
		return r.bytes(kindString, uint64(c&0x1f))
	case c >= 0xe0:
		return value{kind: kindInt, num: uint64(int64(int8(c)))}, nil
	}
	switch c {
	case 0xc0:
		return value{kind: kindNil}, nil
	case 0xc2, 0xc3:
		return value{kind: kindBool, num: uint64(c & 1)}, nil
	case 0xc4, 0xc5, 0xc6:
		return r.sized(c-0xc4, kindBinary)
	case 0xc7, 0xc8, 0xc9:
		return r.sized(c-0xc7, kindExt)
	case 0xca:
		u, err := r.uint(2)
		return value{kind: kindFloat, num: math.Float64bits(float64(math.Float32frombits(uint32(u))))}, err
	case 0xcb:
		u, err := r.uint(3)
		return value{kind: kindFloat, num: u}, err
	case 0xcc, 0xcd, 0xce, 0xcf:
		u, err := r.uint(c - 0xcc)
		return value{kind: kindUint, num: u}, err
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return r.signed(c - 0xd0)
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		v, err := r.bytes(kindExt, 1<<(c-0xd4))
		v.fixed = true
		return v, err
	case 0xd9, 0xda, 0xdb:
		return r.sized(c-0xd9, kindString)
	case 0xdc, 0xdd:
		return r.counted(c-0xdc, kindArray)
	case 0xde, 0xdf:
		return r.counted(c-0xde, kindMap)
	}
	return value{}, ErrMalformed // 0xc1, never used
}

// uint reads a big-endian integer of 1<<size bytes.
func (r *reader) uint(size byte) (uint64, error) {
	n := 1 << size
	if len(r.b)-r.i < n {
		return 0, ErrMalformed
	}
	p := r.b[r.i : r.i+n]
	r.i += n
	switch size {
	case 0:
		return uint64(p[0]), nil
	case 1:
		return uint64(binary.BigEndian.Uint16(p)), nil
	case 2:
		return uint64(binary.BigEndian.Uint32(p)), nil
	}
	return binary.BigEndian.Uint64(p), nil
}

func (r *reader) signed(size byte) (value, error) {
	u, err := r.uint(size)
	n := int64(u<<(64-8<<size)) >> (64 - 8<<size) // sign-extended
	if n >= 0 {
		return value{kind: kindUint, num: uint64(n)}, err
	}
	return value{kind: kindInt, num: uint64(n)}, err
}

func (r *reader) sized(size byte, k kind) (value, error) {
	n, err := r.uint(size)
	if err != nil {
		return value{}, err
	}
	return r.bytes(k, n)
}

func (r *reader) bytes(k kind, n uint64) (value, error) {
	v := value{kind: k}
	if k == kindExt {
		t, err := r.uint(0)
		if err != nil {
			return value{}, err
		}
		v.ext = int8(t)
	}
	if n > uint64(len(r.b)-r.i) {
		return value{}, ErrMalformed
	}
	v.data = r.b[r.i : r.i+int(n)]
	r.i += int(n)
	return v, nil
}

func (r *reader) counted(size byte, k kind) (value, error) {
	n, err := r.uint(size + 1)
	if err != nil {
		return value{}, err
	}
	return r.container(k, n)
}

// container refuses counts that the rest of the message cannot hold, so that no count needs to be believed later.
func (r *reader) container(k kind, n uint64) (value, error) {
	least := n
	if k == kindMap {
		least = 2 * n
	}
	if least > uint64(len(r.b)-r.i) {
		return value{}, ErrMalformed
	}
	return value{kind: k, count: int(n)}, nil
}

// atUndefined tells whether the next value is the undefined of older notepack versions.
func (r *reader) atUndefined() bool {
	return len(r.b)-r.i >= 3 && r.b[r.i] == 0xd4 && r.b[r.i+1] == 0
}

// skip passes over one whole value, however deep. Small numbers and short strings, most of any message, are told apart
// here: next was two thirds of the cost of skipping.
func (r *reader) skip() error {
	for pending := 1; pending > 0; pending-- {
		if r.i >= len(r.b) {
			return ErrMalformed
		}
		switch c := r.b[r.i]; {
		case c < 0x80 || c >= 0xe0:
			r.i++
			continue
		case c >= 0xa0 && c < 0xc0 && r.i+int(c&0x1f) < len(r.b):
			r.i += 1 + int(c&0x1f)
			continue
		}
		v, err := r.next()
		if err != nil {
			return err
		}
		switch v.kind {
		case kindArray:
			pending += v.count
		case kindMap:
			pending += 2 * v.count
		}
	}
	return nil
}

// raw passes over one whole value and returns its bytes.
func (r *reader) raw() ([]byte, error) {
	from := r.i
	err := r.skip()
	return r.b[from:r.i], err
}

// short reads a string of less than 32 bytes, if that is what comes: most keys, names and texts are. It saves what next costs
// for any kind of value.
func (r *reader) short() (s []byte, ok bool) {
	if r.i >= len(r.b) {
		return nil, false
	}
	c := r.b[r.i]
	if c < 0xa0 || c >= 0xc0 || r.i+int(c&0x1f) >= len(r.b) {
		return nil, false
	}
	from := r.i + 1
	r.i = from + int(c&0x1f)
	return r.b[from:r.i], true
}

// str reads a string.
func (r *reader) str() ([]byte, error) {
	if s, ok := r.short(); ok {
		return s, nil
	}
	v, err := r.next()
	if err == nil && v.kind != kindString {
		err = ErrMalformed
	}
	return v.data, err
}

// open reads the header of an array or a map; nil counts as an empty one. Those of less than 16, nearly all, are read here:
// next was a quarter of what a message for one socket cost.
func (r *reader) open(k kind) (int, error) {
	if r.i < len(r.b) {
		switch c := r.b[r.i]; {
		case k == kindArray && c&0xf0 == 0x90 && int(c&0x0f) < len(r.b)-r.i,
			k == kindMap && c&0xf0 == 0x80 && 2*int(c&0x0f) < len(r.b)-r.i:
			r.i++
			return int(c & 0x0f), nil
		}
	}
	v, err := r.next()
	if err == nil && v.kind != k && v.kind != kindNil {
		err = ErrMalformed
	}
	return v.count, err
}

func appendStringHeader(dst []byte, n int) []byte {
	switch {
	case n < 32:
		return append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xd9, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
}

func appendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	return append(appendStringHeader(dst, len(s)), s...)
}

func appendBinary(dst, b []byte) []byte {
	switch n := len(b); {
	case n <= math.MaxUint8:
		dst = append(dst, 0xc4, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xc5), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(n))
	}
	return append(dst, b...)
}

func appendArrayHeader(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x90|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xdc), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xdd), uint32(n))
}

func appendMapHeader(dst []byte, n int) []byte {
	return append(dst, 0x80|byte(n)) // no map of the protocol's own has more than 15 keys
}
