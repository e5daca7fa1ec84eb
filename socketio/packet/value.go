package packet

import (
	"bytes"
	stdjson "encoding/json"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Value is one value of any kind, binary parts included, kept as it came: for what is sent on
// without being looked into. It may be an argument or stand anywhere in one. The zero Value is
// null.
type Value struct{ args Args }

// ErrBinaryPart reports a value with binary parts where plain JSON text was asked for. A Value
// holds both.
var ErrBinaryPart = errors.New("value has binary parts")

// Decode decodes the value into what v points to, by the rules of Args.Decode.
func (x Value) Decode(v any) error {
	if x.args.Len() == 0 {
		return json.Unmarshal([]byte("null"), v)
	}
	return x.args.decode(x.args.Raw(0), v)
}

// String is the JSON text of the value, for people.
func (x Value) String() string {
	if x.args.Len() == 0 {
		return "null"
	}
	text, _ := x.args.append(nil, nil)
	return string(text)
}

func (x Value) append(dst []byte, attachments [][]byte) ([]byte, [][]byte) {
	if x.args.Len() == 0 {
		return append(dst, "null"...), attachments
	}
	return x.args.append(dst, attachments)
}

// newValue keeps a copy of a part of a text that was checked before.
func newValue(raw []byte, attachments [][]byte) Value {
	x := Value{Args{text: bytes.Clone(raw), spans: []span{{0, uint32(len(raw))}}}}
	if s := (scanner{text: x.args.text, attachments: len(attachments)}); len(attachments) > 0 && s.document() == nil && len(s.holes) > 0 {
		x.args.binary = &binary{holes: s.holes, attachments: attachments}
	}
	return x
}

// newRaw keeps a copy of a part of a text that was checked before, if no attachment belongs to it.
func newRaw(raw []byte, attachments [][]byte) (stdjson.RawMessage, error) {
	x := newValue(raw, attachments)
	if x.args.binary != nil {
		return nil, ErrBinaryPart
	}
	return x.args.text, nil
}

func (e *encoder) value(enc *jsontext.Encoder, x Value) error {
	var text []byte
	text, e.attachments = x.append(nil, e.attachments)
	return enc.WriteValue(text)
}

func (d *decoder) value(dec *jsontext.Decoder, v *Value) error {
	raw, err := dec.ReadValue()
	if err == nil {
		*v = newValue(raw, d.attachments)
	}
	return err
}

func (d *decoder) raw(dec *jsontext.Decoder, v *stdjson.RawMessage) error {
	raw, err := dec.ReadValue()
	if err == nil {
		*v, err = newRaw(raw, d.attachments)
	}
	return err
}
