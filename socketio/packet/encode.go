package packet

import (
	stdjson "encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/sidereal-io/sidereal/internal/number"
)

// appendValues appends the values and the bracket that closes the array which the caller began;
// first says that the array is still empty. Where the texts of dates begin goes to dates, unless
// that is nil.
func appendValues(dst []byte, attachments [][]byte, first bool, values []any, dates *[]int) ([]byte, [][]byte, error) {
	var err error
	for i, v := range values {
		args, several := v.(Args)
		if several && len(args.spans) == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if several {
			dst, attachments = args.append(dst, attachments)
			continue
		}
		if dst, attachments, err = appendValue(dst, attachments, v, dates); err != nil {
			return nil, nil, fmt.Errorf("packet: argument %d: %w", i, err)
		}
	}
	return append(dst, ']'), attachments, nil
}

// appendValue appends one value. The usual plain types go without reflection.
func appendValue(dst []byte, attachments [][]byte, v any, dates *[]int) ([]byte, [][]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), attachments, nil
	case string:
		return appendString(dst, v), attachments, nil
	case bool:
		return strconv.AppendBool(dst, v), attachments, nil
	case int:
		return strconv.AppendInt(dst, int64(v), 10), attachments, nil
	case int64:
		return strconv.AppendInt(dst, v, 10), attachments, nil
	case float64:
		return number.Append(dst, v, 64), attachments, nil
	case Value:
		dst, attachments = v.append(dst, attachments)
		return dst, attachments, nil
	case []byte:
		dst, attachments = appendBinary(dst, attachments, v)
		return dst, attachments, nil
	case stdjson.RawMessage:
		return appendRaw(dst, attachments, v)
	}
	e := encoders.Get().(*encoder)
	e.text, e.attachments = dst, attachments
	from := len(dst)
	err := json.MarshalWrite(e, v, e.options)
	dst, attachments = e.text, e.attachments
	if dates != nil && err == nil {
		*dates = e.appendDates(*dates, from)
	}
	e.text, e.attachments, e.dates = nil, nil, e.dates[:0]
	encoders.Put(e)
	return dst, attachments, err
}

// appendString quotes as JSON.stringify does; what is no UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // its only error is the invalid UTF-8 that it has replaced
	return dst
}

// AppendNumber prints a number as JavaScript does: see EncodeEvent.
func AppendNumber(dst []byte, f float64) []byte { return number.Append(dst, f, 64) }

// appendBinary appends the placeholder of b, and b to the attachments.
func appendBinary(dst []byte, attachments [][]byte, b []byte) ([]byte, [][]byte) {
	dst = append(dst, `{"_placeholder":true,"num":`...)
	dst = strconv.AppendInt(dst, int64(len(attachments)), 10)
	return append(dst, '}'), append(attachments, b)
}

// appendRaw appends a JSON text that the caller made.
func appendRaw(dst []byte, attachments [][]byte, raw []byte) ([]byte, [][]byte, error) {
	if len(raw) == 0 {
		return append(dst, "null"...), attachments, nil
	}
	s := scanner{text: raw}
	s.space()
	if err := s.document(); err != nil {
		return dst, attachments, err
	}
	return append(dst, raw...), attachments, nil
}

// encoder is where the reflecting encoder writes. Each has marshalers of its own, since they are
// the only way by which attachments found inside a value reach it.
type encoder struct {
	text        []byte
	attachments [][]byte
	dates       []int64 // how much was written before each
	options     json.Options
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.options = json.JoinOptions(
		json.WithMarshalers(json.JoinMarshalers(
			json.MarshalToFunc(e.binary),
			json.MarshalToFunc(marshalFloat),
			json.MarshalToFunc(marshalFloat32),
			json.MarshalToFunc(e.time),
			json.MarshalToFunc(marshalDuration),
			json.MarshalToFunc(e.args),
			json.MarshalToFunc(e.value),
		)),
		json.Deterministic(true),
		jsonv1.OmitEmptyWithLegacySemantics(true), // numbers and binary, too: what Go's programs mean by it
		jsontext.AllowInvalidUTF8(true),
		jsontext.AllowDuplicateNames(true),
	)
	return e
}}

func (e *encoder) Write(b []byte) (int, error) {
	e.text = append(e.text, b...)
	return len(b), nil
}

func (e *encoder) binary(enc *jsontext.Encoder, b []byte) error {
	var buf [48]byte
	var text []byte
	text, e.attachments = appendBinary(buf[:0], e.attachments, b)
	return enc.WriteValue(text)
}

func (e *encoder) args(enc *jsontext.Encoder, a Args) error {
	var text []byte
	text, e.attachments = a.append([]byte{'['}, e.attachments)
	return enc.WriteValue(append(text, ']'))
}

// appendDates appends where the dates are in a text whose values begin at from.
func (e *encoder) appendDates(dates []int, from int) []int {
	for _, before := range e.dates {
		at := from + int(before)
		if e.text[at] != '"' { // a comma or a colon
			at++
		}
		dates = append(dates, at)
	}
	return dates
}

func marshalFloat(enc *jsontext.Encoder, f float64) error {
	var buf [32]byte
	return enc.WriteValue(number.Append(buf[:0], f, 64))
}

func marshalFloat32(enc *jsontext.Encoder, f float32) error {
	var buf [32]byte
	return enc.WriteValue(number.Append(buf[:0], float64(f), 32))
}

func marshalDuration(enc *jsontext.Encoder, d time.Duration) error {
	return marshalFloat(enc, float64(d)/float64(time.Millisecond))
}

func (e *encoder) time(enc *jsontext.Encoder, t time.Time) error {
	e.dates = append(e.dates, enc.OutputOffset())
	var buf [32]byte
	text := append(buf[:0], '"')
	text = t.UTC().AppendFormat(text, "2006-01-02T15:04:05.000Z")
	return enc.WriteValue(append(text, '"'))
}
