package msgpack

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrMalformed reports bytes that are no MessagePack, or text that is no JSON. The sender is at
// fault.
var ErrMalformed = errors.New("msgpack: malformed message")

// Kind is what a value is.
type Kind uint8

// The kinds of values.
const (
	Nil Kind = iota
	Bool
	Int   // negative, in num as two's complement
	Uint  // in num
	Float // in num as IEEE 754 bits
	String
	Binary
	Array
	Map
	Ext
)

// Value is one msgpack value; of an array or a map only its header.
type Value struct {
	Kind  Kind
	Ext   int8   // type of an Ext
	Fixed bool   // an Ext whose length the type byte gave
	Count int    // elements of an array, pairs of a map
	Num   uint64 // numbers and booleans
	Data  []byte // content of a string, binary or ext; aliases the message
}

// Reader walks the values of a message without allocating.
type Reader struct {
	B []byte // the message
	I int    // how much of it is read
}

// Next reads one value. After the header of an array or a map its elements follow.
func (r *Reader) Next() (Value, error) {
	if r.I >= len(r.B) {
		return Value{}, ErrMalformed
	}
	c := r.B[r.I]
	r.I++
	switch {
	case c < 0x80:
		return Value{Kind: Uint, Num: uint64(c)}, nil
	case c < 0x90:
		return r.container(Map, uint64(c&0x0f))
	case c < 0xa0:
		return r.container(Array, uint64(c&0x0f))
	case c < 0xc0:
		return r.bytes(String, uint64(c&0x1f))
	case c >= 0xe0:
		return Value{Kind: Int, Num: uint64(int64(int8(c)))}, nil
	}
	switch c {
	case 0xc0:
		return Value{Kind: Nil}, nil
	case 0xc2, 0xc3:
		return Value{Kind: Bool, Num: uint64(c & 1)}, nil
	case 0xc4, 0xc5, 0xc6:
		return r.sized(c-0xc4, Binary)
	case 0xc7, 0xc8, 0xc9:
		return r.sized(c-0xc7, Ext)
	case 0xca:
		u, err := r.uint(2)
		return Value{Kind: Float, Num: math.Float64bits(float64(math.Float32frombits(uint32(u))))}, err
	case 0xcb:
		u, err := r.uint(3)
		return Value{Kind: Float, Num: u}, err
	case 0xcc, 0xcd, 0xce, 0xcf:
		u, err := r.uint(c - 0xcc)
		return Value{Kind: Uint, Num: u}, err
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return r.signed(c - 0xd0)
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		v, err := r.bytes(Ext, 1<<(c-0xd4))
		v.Fixed = true
		return v, err
	case 0xd9, 0xda, 0xdb:
		return r.sized(c-0xd9, String)
	case 0xdc, 0xdd:
		return r.counted(c-0xdc, Array)
	case 0xde, 0xdf:
		return r.counted(c-0xde, Map)
	}
	return Value{}, ErrMalformed // 0xc1, never used
}

// uint reads a big-endian integer of 1<<size bytes.
func (r *Reader) uint(size byte) (uint64, error) {
	n := 1 << size
	if len(r.B)-r.I < n {
		return 0, ErrMalformed
	}
	p := r.B[r.I : r.I+n]
	r.I += n
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

func (r *Reader) signed(size byte) (Value, error) {
	u, err := r.uint(size)
	n := int64(u<<(64-8<<size)) >> (64 - 8<<size) // sign-extended
	if n >= 0 {
		return Value{Kind: Uint, Num: uint64(n)}, err
	}
	return Value{Kind: Int, Num: uint64(n)}, err
}

func (r *Reader) sized(size byte, k Kind) (Value, error) {
	n, err := r.uint(size)
	if err != nil {
		return Value{}, err
	}
	return r.bytes(k, n)
}

func (r *Reader) bytes(k Kind, n uint64) (Value, error) {
	v := Value{Kind: k}
	if k == Ext {
		t, err := r.uint(0)
		if err != nil {
			return Value{}, err
		}
		v.Ext = int8(t)
	}
	if n > uint64(len(r.B)-r.I) {
		return Value{}, ErrMalformed
	}
	v.Data = r.B[r.I : r.I+int(n)]
	r.I += int(n)
	return v, nil
}

func (r *Reader) counted(size byte, k Kind) (Value, error) {
	n, err := r.uint(size + 1)
	if err != nil {
		return Value{}, err
	}
	return r.container(k, n)
}

// container refuses counts that the rest of the message cannot hold, so that no count needs to be
// believed later.
func (r *Reader) container(k Kind, n uint64) (Value, error) {
	least := n
	if k == Map {
		least = 2 * n
	}
	if least > uint64(len(r.B)-r.I) {
		return Value{}, ErrMalformed
	}
	return Value{Kind: k, Count: int(n)}, nil
}

// AtUndefined tells whether the next value is the undefined of older notepack versions.
func (r *Reader) AtUndefined() bool {
	return len(r.B)-r.I >= 3 && r.B[r.I] == 0xd4 && r.B[r.I+1] == 0
}

// Skip passes over one whole value, however deep. Small numbers and short strings, most of any
// message, are told apart here: next was two thirds of the cost of skipping.
func (r *Reader) Skip() error {
	for pending := 1; pending > 0; pending-- {
		if r.I >= len(r.B) {
			return ErrMalformed
		}
		switch c := r.B[r.I]; {
		case c < 0x80 || c >= 0xe0:
			r.I++
			continue
		case c >= 0xa0 && c < 0xc0 && r.I+int(c&0x1f) < len(r.B):
			r.I += 1 + int(c&0x1f)
			continue
		}
		v, err := r.Next()
		if err != nil {
			return err
		}
		switch v.Kind {
		case Array:
			pending += v.Count
		case Map:
			pending += 2 * v.Count
		}
	}
	return nil
}

// Raw passes over one whole value and returns its bytes.
func (r *Reader) Raw() ([]byte, error) {
	from := r.I
	err := r.Skip()
	return r.B[from:r.I], err
}

// Short reads a string of less than 32 bytes, if that is what comes: most keys, names and texts
// are. It saves what next costs for any kind of value.
func (r *Reader) Short() (s []byte, ok bool) {
	if r.I >= len(r.B) {
		return nil, false
	}
	c := r.B[r.I]
	if c < 0xa0 || c >= 0xc0 || r.I+int(c&0x1f) >= len(r.B) {
		return nil, false
	}
	from := r.I + 1
	r.I = from + int(c&0x1f)
	return r.B[from:r.I], true
}

// String reads a string.
func (r *Reader) String() ([]byte, error) {
	if s, ok := r.Short(); ok {
		return s, nil
	}
	v, err := r.Next()
	if err == nil && v.Kind != String {
		err = ErrMalformed
	}
	return v.Data, err
}

// Open reads the header of an array or a map; nil counts as an empty one. Those of less than 16,
// nearly all, are read here: Next was a quarter of what a message for one socket cost.
func (r *Reader) Open(k Kind) (int, error) {
	if r.I < len(r.B) {
		switch c := r.B[r.I]; {
		case k == Array && c&0xf0 == 0x90 && int(c&0x0f) < len(r.B)-r.I,
			k == Map && c&0xf0 == 0x80 && 2*int(c&0x0f) < len(r.B)-r.I:
			r.I++
			return int(c & 0x0f), nil
		}
	}
	v, err := r.Next()
	if err == nil && v.Kind != k && v.Kind != Nil {
		err = ErrMalformed
	}
	return v.Count, err
}
