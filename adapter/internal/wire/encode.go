package wire

import (
	"github.com/sidereal-io/sidereal/internal/msgpack"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// AppendPayload appends p as msgpack, with its attachments in place of their placeholders. It
// fails on text that isn't JSON.
func AppendPayload(dst []byte, p packet.Payload) ([]byte, error) {
	return appendDated(dst, p.JSON, p.Attachments, p.Dates)
}

func appendValue(dst, text []byte, attachments [][]byte) ([]byte, error) {
	return appendDated(dst, text, attachments, nil)
}

func appendDated(dst, text []byte, attachments [][]byte, dates []int) ([]byte, error) {
	w := msgpack.Text{In: text, Out: dst, Attachments: attachments, Dates: dates, MaxDepth: maxDepth}
	w.Space()
	if err := w.Value(); err != nil {
		return dst, err
	}
	w.Space()
	if w.I != len(text) {
		return dst, ErrMalformed
	}
	return w.Out, nil
}
