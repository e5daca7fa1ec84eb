package ipc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Mode is a serialization, with the name that Node gives it.
type Mode string

// The modes. JSON is Node's default; Advanced keeps binary data, dates and maps.
const (
	JSON     Mode = "json"
	Advanced Mode = "advanced"
)

// ErrTooLong reports a frame beyond the limit. The stream cannot be read any further.
var ErrTooLong = errors.New("ipc: frame too long")

const prefixSize = 4 // of an advanced frame

// Frame is a whole frame as it travels, with its length or its line end. It is immutable, and may be sent on as it is to
// a process of the same mode.
type Frame []byte

// Decode reads the message in a frame. What it returns may share memory with the frame.
func Decode(m Mode, f Frame) (Value, error) {
	if m == Advanced {
		return readV8(f[prefixSize:])
	}
	return readJSON(f)
}

// Encode makes a frame of at most limit bytes of a message.
func Encode(m Mode, v Value, limit int) (Frame, error) {
	if m != Advanced {
		b, err := appendJSON(nil, v, limit)
		return append(b, '\n'), err
	}
	b, err := appendV8(make([]byte, prefixSize, 256), v, limit)
	binary.BigEndian.PutUint32(b, uint32(len(b)-prefixSize))
	return b, err
}

// Splitter cuts a stream into frames. Its zero value is not usable: Mode and Limit must be set.
type Splitter struct {
	Mode  Mode
	Limit int // of a frame, in bytes

	part []byte // of a frame that is not whole yet
}

// Feed takes what was read next, and calls frame for each frame that is whole with it, until one fails. An error of the
// Splitter's own is ErrTooLong.
func (s *Splitter) Feed(b []byte, frame func(Frame) error) error {
	for len(b) > 0 {
		n, err := s.missing(b)
		if err != nil {
			return err
		}
		if n > len(b) {
			s.part = append(s.part, b...)
			return nil
		}
		whole := append(s.part, b[:n]...) // a nil part makes it a copy
		s.part, b = nil, b[n:]
		if s.Mode == Advanced && len(whole) == prefixSize && binary.BigEndian.Uint32(whole) > 0 {
			s.part = whole // the length alone
			continue
		}
		if err := frame(whole); err != nil {
			return err
		}
	}
	return nil
}

// missing is how many bytes of b the frame still takes, as far as it is known; more than b has, if it does not end in it.
func (s *Splitter) missing(b []byte) (int, error) {
	if s.Mode != Advanced {
		if i := bytes.IndexByte(b, '\n'); i >= 0 && len(s.part)+i < s.Limit {
			return i + 1, nil
		}
		if len(s.part)+len(b) >= s.Limit {
			return 0, fmt.Errorf("%w: more than %d bytes", ErrTooLong, s.Limit)
		}
		return len(b) + 1, nil
	}
	if len(s.part) < prefixSize {
		return prefixSize - len(s.part), nil
	}
	size := binary.BigEndian.Uint32(s.part)
	if int64(size) > int64(s.Limit) {
		return 0, fmt.Errorf("%w: %d bytes", ErrTooLong, size)
	}
	return prefixSize + int(size) - len(s.part), nil
}
