package msgpack

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/sidereal-io/sidereal/internal/number"
)

// protoKey is never passed on: a receiver that assigns decoded keys would set its object's
// prototype.
const protoKey = "__proto__"

// JSON turns MessagePack into JSON text with placeholders while it reads.
type JSON struct {
	Reader
	Out []byte // the text
	// Attachments are the binary parts, which alias the message. Placeholders count from those that
	// are there already.
	Attachments    [][]byte
	MaxAttachments int
	MaxDepth       int
}

// frame is an array or an object that is being written.
type frame struct {
	left   int  // values to come, without their keys
	object bool // else an array
	some   bool // it has a member already
}

// frames is how many are written without allocating.
const frames = 16

// Value writes the next value.
func (w *JSON) Value() error {
	var room [frames]frame
	open := room[:0]
	for {
		inner, err := w.one()
		if err != nil {
			return err
		}
		if inner.left >= 0 {
			if len(open) == w.MaxDepth {
				return ErrMalformed
			}
			open = append(open, inner)
		}
		for {
			if len(open) == 0 {
				return nil
			}
			top := &open[len(open)-1]
			if top.left == 0 {
				w.Out = append(w.Out, closing(top.object))
				open = open[:len(open)-1]
				continue
			}
			more, err := w.member(top)
			if err != nil {
				return err
			}
			if more {
				break
			}
		}
	}
}

func closing(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// member begins the next member of an array or an object. It reports false where that is left out.
func (w *JSON) member(f *frame) (more bool, err error) {
	f.left--
	before := len(w.Out)
	if f.some {
		w.Out = append(w.Out, ',')
	}
	if f.object {
		proto, err := w.key()
		if err != nil {
			return false, err
		}
		if proto || w.AtUndefined() {
			w.Out = w.Out[:before]
			return false, w.Skip()
		}
		w.Out = append(w.Out, ':')
	}
	f.some = true
	return true, nil
}

// one writes a value. Of an array or an object that is only its beginning, and the members are
// left.
func (w *JSON) one() (inner frame, err error) {
	inner.left = -1
	if s, ok := w.Short(); ok {
		w.Out = AppendQuoted(w.Out, s)
		return inner, nil
	}
	v, err := w.Next()
	if err != nil {
		return inner, err
	}
	switch v.Kind {
	case String:
		w.Out = AppendQuoted(w.Out, v.Data)
	case Binary:
		err = w.attach(v.Data)
	case Array:
		w.Out = append(w.Out, '[')
		inner.left = v.Count
	case Map:
		w.Out = append(w.Out, '{')
		inner.left, inner.object = v.Count, true
	case Ext:
		err = w.extension(v)
	default:
		w.scalar(v)
	}
	return inner, err
}

// scalar writes what needs no quotes. Integers keep all digits, though JavaScript prints others
// beyond 2^53: a Go server or client reads them as int64 or uint64.
func (w *JSON) scalar(v Value) {
	switch v.Kind {
	case Nil:
		w.Out = append(w.Out, "null"...)
	case Bool:
		w.Out = strconv.AppendBool(w.Out, v.Num != 0)
	case Uint:
		w.Out = strconv.AppendUint(w.Out, v.Num, 10)
	case Int:
		w.Out = strconv.AppendInt(w.Out, int64(v.Num), 10)
	case Float:
		w.Out = number.Append(w.Out, math.Float64frombits(v.Num), 64)
	}
}

func (w *JSON) attach(data []byte) error {
	if len(w.Attachments) >= w.MaxAttachments {
		return ErrMalformed
	}
	w.Out = append(w.Out, `{"_placeholder":true,"num":`...)
	w.Out = strconv.AppendInt(w.Out, int64(len(w.Attachments)), 10)
	w.Out = append(w.Out, '}')
	w.Attachments = append(w.Attachments, data)
	return nil
}

// key writes a map's key: whatever scalar it is, JavaScript makes it a string.
func (w *JSON) key() (proto bool, err error) {
	if s, ok := w.Short(); ok {
		w.Out = AppendQuoted(w.Out, s)
		return string(s) == protoKey, nil
	}
	v, err := w.Next()
	if err != nil {
		return false, err
	}
	switch v.Kind {
	case String:
		w.Out = AppendQuoted(w.Out, v.Data)
		return string(v.Data) == protoKey, nil
	case Binary, Array, Map, Ext:
		return false, ErrMalformed
	}
	w.Out = append(w.Out, '"')
	w.scalar(v)
	w.Out = append(w.Out, '"')
	return false, nil
}

// extension writes timestamps as dates, and the private types of older notepack versions as what
// they stood for (type 0: one byte is undefined, eight are a date, an explicit length is an
// ArrayBuffer). Others are what Node's decoder makes of them: an array of type and bytes.
func (w *JSON) extension(v Value) error {
	switch {
	case v.Ext == -1:
		w.Out = appendTimestamp(w.Out, v.Data)
		return nil
	case v.Ext == 0 && !v.Fixed:
		return w.attach(v.Data)
	case v.Ext == 0 && len(v.Data) == 1:
		w.Out = append(w.Out, "null"...)
		return nil
	case v.Ext == 0 && len(v.Data) == 8:
		w.Out = appendDate(w.Out, int64(binary.BigEndian.Uint64(v.Data)))
		return nil
	}
	w.Out = append(w.Out, '[')
	w.Out = strconv.AppendInt(w.Out, int64(v.Ext), 10)
	w.Out = append(w.Out, ',')
	err := w.attach(v.Data)
	w.Out = append(w.Out, ']')
	return err
}
