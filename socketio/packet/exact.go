package packet

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/sidereal-io/sidereal/internal/number"
)

// EncodeExact encodes one value for servers that will decode it into the same type. In contrast to
// EncodeEvent, nothing is changed to please JavaScript: a time keeps its nanoseconds and its zone,
// and a nil slice or map stays nil. A value that can't keep its meaning is an error: NaN and
// infinities, text that isn't UTF-8, and numbers that no int64, uint64 or float64 holds. Neither
// may it be nested deeper than MaxDepth.
func EncodeExact(v any) (Value, error) {
	e := exactEncoders.Get().(*encoder)
	e.text = []byte{'['}
	err := json.MarshalWrite(e, v, e.options)
	text, attachments := append(e.text, ']'), e.attachments
	e.text, e.attachments = nil, nil
	exactEncoders.Put(e)
	if err != nil {
		return Value{}, err
	}
	args, err := ParseArgs(text, len(attachments))
	if err != nil {
		return Value{}, err
	}
	if bytes.Count(text, placeholder) != len(attachments) {
		return Value{}, ErrPlaceholder // an object that only looks like one
	}
	if err := checkNumbers(text); err != nil {
		return Value{}, err
	}
	return args.With(attachments).Value(0), nil
}

// Size returns the number of bytes that the value keeps: its text and its binary parts.
func (x Value) Size() int {
	if x.args.Len() == 0 {
		return 0
	}
	n := int(x.args.spans[0].to - x.args.spans[0].from)
	for _, a := range x.args.attachments() {
		n += len(a)
	}
	return n
}

// Equal reports whether two values have the same text and the same binary parts.
func (x Value) Equal(y Value) bool {
	text, parts := x.append(nil, nil)
	other, others := y.append(nil, nil)
	if !bytes.Equal(text, other) || len(parts) != len(others) {
		return false
	}
	for i := range parts {
		if !bytes.Equal(parts[i], others[i]) {
			return false
		}
	}
	return true
}

// placeholder is in each one that an encoder wrote. In a string its quotes would be escaped.
var placeholder = []byte(`"_placeholder":true`)

var exactEncoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.options = json.JoinOptions(
		json.WithMarshalers(json.JoinMarshalers(
			json.MarshalToFunc(e.exactBinary),
			json.MarshalToFunc(exactFloat),
			json.MarshalToFunc(exactFloat32),
			json.MarshalToFunc(exactTime),
			json.MarshalToFunc(exactDuration),
			json.MarshalToFunc(e.args),
			json.MarshalToFunc(e.value),
			json.MarshalToFunc(e.raw),
		)),
		json.Deterministic(true),
		json.FormatNilSliceAsNull(true),
		json.FormatNilMapAsNull(true),
		jsonv1.OmitEmptyWithLegacySemantics(true),
	)
	return e
}}

// exactBinary copies b, since the caller may change it.
func (e *encoder) exactBinary(enc *jsontext.Encoder, b []byte) error {
	if b == nil {
		return enc.WriteToken(jsontext.Null)
	}
	return e.binary(enc, bytes.Clone(b))
}

func exactFloat(enc *jsontext.Encoder, f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%v has no form in JSON", f)
	}
	return marshalFloat(enc, f)
}

func exactFloat32(enc *jsontext.Encoder, f float32) error {
	if f := float64(f); math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%v has no form in JSON", f)
	}
	return marshalFloat32(enc, f)
}

// exactTime writes a whole millisecond as JavaScript does, with three digits.
func exactTime(enc *jsontext.Encoder, t time.Time) error {
	layout := time.RFC3339Nano
	if t.Nanosecond()%int(time.Millisecond) == 0 {
		layout = "2006-01-02T15:04:05.000Z07:00"
	}
	if _, offset := t.Zone(); offset%60 != 0 || t.Year() < 0 || t.Year() > 9999 {
		return fmt.Errorf("time %v has no form in RFC 3339", t)
	}
	var buf [40]byte
	text := t.AppendFormat(append(buf[:0], '"'), layout)
	return enc.WriteValue(append(text, '"'))
}

// exactDuration writes milliseconds, as everywhere. A double holds those to the nanosecond for some
// weeks, and whole ones for much longer.
func exactDuration(enc *jsontext.Encoder, d time.Duration) error {
	ms := float64(d) / float64(time.Millisecond)
	if durationOf(ms) != d {
		return fmt.Errorf("%v has more digits than a number holds", d)
	}
	return marshalFloat(enc, ms)
}

// raw writes a text that the app made, in the compact form.
func (e *encoder) raw(enc *jsontext.Encoder, raw stdjson.RawMessage) error {
	if len(raw) == 0 {
		return enc.WriteToken(jsontext.Null)
	}
	return enc.WriteValue(jsontext.Value(raw))
}

// checkNumbers returns an error for a number that another server would read otherwise: adapters
// carry the integers of int64 and uint64, and doubles.
func checkNumbers(text []byte) error {
	s := scanner{text: text}
	for s.at < len(text) {
		switch c := text[s.at]; {
		case c == '"':
			if err := s.string(); err != nil {
				return err
			}
		case c == '-' || c >= '0' && c <= '9':
			from := s.at
			if err := s.number(); err != nil {
				return err
			}
			if n := text[from:s.at]; !exactNumber(n) {
				return fmt.Errorf("number %.40s has more digits than other servers keep", n)
			}
		default:
			s.at++
		}
	}
	return nil
}

func exactNumber(text []byte) bool {
	if len(text) <= 15 && !bytes.ContainsAny(text, ".eE") {
		return true
	}
	if !bytes.ContainsAny(text, ".eE") {
		if _, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			return true
		}
		if _, err := strconv.ParseUint(string(text), 10, 64); err == nil {
			return true
		}
	}
	return bytes.Equal(number.AppendText(nil, text), text)
}
