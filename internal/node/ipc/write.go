package ipc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrUnencodable reports a value that doesn't fit into a frame: opaque, too deep or too large.
var ErrUnencodable = errors.New("ipc: value cannot be sent")

// appendV8 appends v as V8's structured clone.
func appendV8(dst []byte, v Value, limit int) ([]byte, error) {
	w := writer{b: append(dst, headerTag, firstVersion), limit: len(dst) + limit}
	w.value(v, 0)
	return w.b, w.err
}

type writer struct {
	b     []byte
	limit int // of len(b)
	err   error
}

func (w *writer) fail(why string) {
	if w.err == nil {
		w.err = fmt.Errorf("%w: %s", ErrUnencodable, why)
	}
}

func (w *writer) varint(n int) { w.b = binary.AppendUvarint(w.b, uint64(n)) }

func (w *writer) value(v Value, depth int) {
	switch {
	case w.err != nil:
		return
	case depth > maxDepth:
		w.fail("too deep")
		return
	case len(w.b) > w.limit:
		w.fail("too large")
		return
	}
	switch v := v.(type) {
	case nil:
		w.b = append(w.b, tagNull)
	case Undefined:
		w.b = append(w.b, tagUndefined)
	case bool:
		if v {
			w.b = append(w.b, tagTrue)
		} else {
			w.b = append(w.b, tagFalse)
		}
	case float64:
		w.number(v)
	case string:
		w.text(v)
	case []byte:
		w.b = append(w.b, tagHost, hostView, viewBuffer)
		w.varint(len(v))
		w.b = append(w.b, v...)
	case Date:
		w.b = append(w.b, tagDate)
		w.double(float64(v))
	case *Array:
		w.array(v, depth)
	case *Object:
		w.object(v, depth)
	default:
		w.fail(fmt.Sprintf("a %T", v))
	}
}

func (w *writer) number(f float64) {
	if n := int32(f); float64(n) == f && (n != 0 || !math.Signbit(f)) {
		w.b = binary.AppendUvarint(append(w.b, tagInt32), uint64(uint32(n)<<1^uint32(n>>31)))
		return
	}
	w.b = append(w.b, tagDouble)
	w.double(f)
}

func (w *writer) double(f float64) { w.b = binary.LittleEndian.AppendUint64(w.b, math.Float64bits(f)) }

func (w *writer) text(s string) {
	tag := byte(tagLatin1)
	for i := range len(s) {
		if s[i] >= 0x80 {
			tag = tagUTF8
			break
		}
	}
	w.b = append(w.b, tag)
	w.varint(len(s))
	w.b = append(w.b, s...)
}

func (w *writer) array(a *Array, depth int) {
	w.b = append(w.b, tagDense)
	w.varint(len(a.Items))
	for _, v := range a.Items {
		w.value(v, depth+1)
	}
	w.b = append(w.b, tagDenseEnd, 0) // no properties besides
	w.varint(len(a.Items))
}

func (w *writer) object(o *Object, depth int) {
	w.b = append(w.b, tagObject)
	for i, key := range o.Keys {
		w.text(key)
		w.value(o.Values[i], depth+1)
	}
	w.b = append(w.b, tagObjectEnd)
	w.varint(len(o.Keys))
}
