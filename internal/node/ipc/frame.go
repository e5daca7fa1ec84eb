package ipc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Mode is a serialization, by Node's name for it.
type Mode string

// JSON is Node's default. Advanced keeps binary data, dates and maps.
const (
	JSON     Mode = "json"
	Advanced Mode = "advanced"
)

// ErrTooLong reports a frame beyond the limit. The rest of the stream can't be read.
var ErrTooLong = errors.New("ipc: frame too long")

const prefixSize = 4 // of an advanced frame

// Frame is a whole frame with its length or line end. It is immutable. A process of the same mode
// may get it unchanged.
type Frame []byte

// Decode decodes the message in a frame. The result may share memory with the frame.
func Decode(m Mode, f Frame) (Value, error) {
	if m == Advanced {
		return readV8(f[prefixSize:])
	}
	return readJSON(f)
}

// Encode encodes a message as a frame of at most limit bytes.
func Encode(m Mode, v Value, limit int) (Frame, error) {
	if m != Advanced {
		b, err := appendJSON(nil, v, limit)
		return append(b, '\n'), err
	}
	b, err := appendV8(make([]byte, prefixSize, 256), v, limit)
	binary.BigEndian.PutUint32(b, uint32(len(b)-prefixSize))
	return b, err
}

// Splitter cuts a stream into frames. The caller must set Mode and Limit.
type Splitter struct {
	Mode  Mode
	Limit int // of a frame, in bytes

	part []byte // the beginning of an incomplete frame
}

// Feed adds bytes of the stream, and calls frame for each frame that they complete, until one
// call fails. Its own error is ErrTooLong.
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

// missing returns how many more bytes the frame needs, as far as that is known. The result
// exceeds len(b) if the frame doesn't end in b.
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
