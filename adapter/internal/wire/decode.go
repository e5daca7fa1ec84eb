package wire

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/sidereal-io/sidereal/internal/number"
)

// maxAttachments bounds the binary parts of one packet: each costs a client a frame and the receiver 35 bytes of
// placeholder for two bytes of message.
const maxAttachments = 1 << 16

// protoKey is never passed on: a receiver that assigns decoded keys would set its object's prototype.
const protoKey = "__proto__"

// DecodeValue appends msgpack's one value as JSON text to dst. Binary goes to attachments, which alias msg, and leaves a
// placeholder that counts from the attachments already there. Trailing bytes are an error.
func DecodeValue(dst []byte, attachments [][]byte, msg []byte) ([]byte, [][]byte, error) {
	w := jsonWriter{reader: reader{b: msg}, out: dst, attachments: attachments}
	if err := w.value(0); err != nil {
		return dst, attachments, err
	}
	if w.i != len(msg) {
		return dst, attachments, ErrMalformed
	}
	return w.out, w.attachments, nil
}

// jsonWriter turns msgpack into JSON text while it reads.
type jsonWriter struct {
	reader
	out         []byte
	attachments [][]byte
}

func (w *jsonWriter) value(depth int) error {
	if s, ok := w.short(); ok {
		w.out = AppendString(w.out, s)
		return nil
	}
	v, err := w.next()
	if err != nil {
		return err
	}
	switch v.kind {
	case kindString:
		w.out = AppendString(w.out, v.data)
	case kindBinary:
		return w.attach(v.data)
	case kindArray:
		return w.array(v.count, depth+1)
	case kindMap:
		return w.object(v.count, depth+1)
	case kindExt:
		return w.extension(v)
	default:
		w.scalar(v)
	}
	return nil
}

// scalar writes what needs no quotes.
func (w *jsonWriter) scalar(v value) {
	switch v.kind {
	case kindNil:
		w.out = append(w.out, "null"...)
	case kindBool:
		w.out = strconv.AppendBool(w.out, v.num != 0)
	case kindUint:
		w.out = appendUint(w.out, v.num)
	case kindInt:
		w.out = appendInt(w.out, int64(v.num))
	case kindFloat:
		w.out = number.Append(w.out, math.Float64frombits(v.num), 64)
	}
}

func (w *jsonWriter) attach(data []byte) error {
	if len(w.attachments) >= maxAttachments {
		return ErrMalformed
	}
	w.out = append(w.out, `{"_placeholder":true,"num":`...)
	w.out = strconv.AppendInt(w.out, int64(len(w.attachments)), 10)
	w.out = append(w.out, '}')
	w.attachments = append(w.attachments, data)
	return nil
}

func (w *jsonWriter) array(n, depth int) error {
	if depth > maxDepth {
		return ErrMalformed
	}
	w.out = append(w.out, '[')
	for i := range n {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		if err := w.value(depth); err != nil {
			return err
		}
	}
	w.out = append(w.out, ']')
	return nil
}

func (w *jsonWriter) object(n, depth int) error {
	if depth > maxDepth {
		return ErrMalformed
	}
	w.out = append(w.out, '{')
	first := len(w.out)
	for range n {
		before := len(w.out)
		if before > first {
			w.out = append(w.out, ',')
		}
		proto, err := w.key()
		if err != nil {
			return err
		}
		if proto || w.atUndefined() {
			w.out = w.out[:before]
			if err := w.skip(); err != nil {
				return err
			}
			continue
		}
		w.out = append(w.out, ':')
		if err := w.value(depth); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	return nil
}

// key writes a map's key: whatever scalar it is, JavaScript makes it a string.
func (w *jsonWriter) key() (proto bool, err error) {
	if s, ok := w.short(); ok {
		w.out = AppendString(w.out, s)
		return string(s) == protoKey, nil
	}
	v, err := w.next()
	if err != nil {
		return false, err
	}
	switch v.kind {
	case kindString:
		w.out = AppendString(w.out, v.data)
		return string(v.data) == protoKey, nil
	case kindBinary, kindArray, kindMap, kindExt:
		return false, ErrMalformed
	}
	w.out = append(w.out, '"')
	w.scalar(v)
	w.out = append(w.out, '"')
	return false, nil
}

// extension writes timestamps as dates, and the private types of older notepack versions as what they stood for (type 0:
// one byte is undefined, eight are a date, an explicit length is an ArrayBuffer). Others are what Node's decoder makes of
// them: an array of type and bytes.
func (w *jsonWriter) extension(v value) error {
	switch {
	case v.ext == -1:
		w.out = appendTimestamp(w.out, v.data)
		return nil
	case v.ext == 0 && !v.fixed:
		return w.attach(v.data)
	case v.ext == 0 && len(v.data) == 1:
		w.out = append(w.out, "null"...)
		return nil
	case v.ext == 0 && len(v.data) == 8:
		w.out = appendDate(w.out, int64(binary.BigEndian.Uint64(v.data)))
		return nil
	}
	w.out = append(w.out, '[')
	w.out = strconv.AppendInt(w.out, int64(v.ext), 10)
	w.out = append(w.out, ',')
	err := w.attach(v.data)
	w.out = append(w.out, ']')
	return err
}
