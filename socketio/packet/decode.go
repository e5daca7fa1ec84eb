package packet

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/internal/number"
)

// ErrNotBinary reports a value that is not binary where a []byte was asked for.
var ErrNotBinary = errors.New("value is not binary")

// decode decodes one value, checked before, into what v points to. The usual plain types go without
// reflection.
func (a Args) decode(raw []byte, v any) error {
	switch v := v.(type) {
	case *string:
		if raw[0] == '"' {
			text, err := unquote(raw)
			*v = string(text)
			return err
		}
	case *bool:
		switch string(raw) {
		case "true":
			*v = true
			return nil
		case "false":
			*v = false
			return nil
		}
	case *int:
		if n := digits(raw); n == len(raw) && n <= maxIDDigits {
			*v = int(natural(raw))
			return nil
		}
	case *float64:
		if c := raw[0]; c == '-' || c >= '0' && c <= '9' {
			f := number.Parse(raw)
			if math.IsInf(f, 0) {
				return errRange(raw)
			}
			*v = f
			return nil
		}
	case *stdjson.RawMessage:
		text, err := newRaw(raw, a.attachments())
		*v = text
		return err
	case *Value:
		*v = newValue(raw, a.attachments())
		return nil
	case *[]byte:
		return decodeBinary(raw, a.attachments(), v)
	}
	if a.binary == nil && !a.odd {
		return json.Unmarshal(raw, v, plain)
	}
	d := decoders.Get().(*decoder)
	d.attachments = a.attachments()
	err := json.Unmarshal(raw, v, d.options)
	d.attachments = nil
	decoders.Put(d)
	return err
}

func (a Args) attachments() [][]byte {
	if a.binary == nil {
		return nil
	}
	return a.binary.attachments
}

// decodeBinary reads a placeholder. What the scanner refused does not get here.
func decodeBinary(raw []byte, attachments [][]byte, v *[]byte) error {
	if string(raw) == "null" {
		*v = nil
		return nil
	}
	if len(attachments) > 0 && raw[0] == '{' {
		s := scanner{text: raw, attachments: len(attachments)}
		if s.value() == nil && len(s.holes) == 1 && s.holes[0].span == (span{0, uint32(len(raw))}) {
			*v = attachments[s.holes[0].attachment]
			return nil
		}
	}
	return ErrNotBinary
}

// received is how whatever clients send is read: the last of several members with one name counts,
// lone surrogates become U+FFFD, and names find struct fields as in encoding/json.
var received = json.JoinOptions(
	json.MatchCaseInsensitiveNames(true),
	jsontext.AllowInvalidUTF8(true),
	jsontext.AllowDuplicateNames(true),
)

func errRange(text []byte) error { return fmt.Errorf("number %.40s: %w", text, strconv.ErrRange) }

// plain decodes values without attachments or odd numbers.
var plain = (&decoder{}).unmarshalers(false)

// decoder decodes values with attachments or odd numbers. Each has unmarshalers of its own, since
// they are the only way by which the attachments reach a place inside a value.
type decoder struct {
	attachments [][]byte
	options     json.Options
}

var decoders = sync.Pool{New: func() any {
	d := new(decoder)
	d.options = d.unmarshalers(true)
	return d
}}

// unmarshalers are the options that decode by d; an any or a float needs one only in special
// values.
func (d *decoder) unmarshalers(special bool) json.Options {
	list := []*json.Unmarshalers{
		json.UnmarshalFromFunc(d.binary),
		json.UnmarshalFromFunc(d.value),
		json.UnmarshalFromFunc(unmarshalDuration),
	}
	if special {
		list = append(list, json.UnmarshalFromFunc(d.raw), json.UnmarshalFromFunc(d.any), json.UnmarshalFromFunc(unmarshalFloat))
	}
	return json.JoinOptions(received, json.WithUnmarshalers(json.JoinUnmarshalers(list...)))
}

func (d *decoder) binary(dec *jsontext.Decoder, v *[]byte) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	return decodeBinary(raw, d.attachments, v)
}

// any reads a value of no given type, with []byte where placeholders are.
func (d *decoder) any(dec *jsontext.Decoder, v *any) error {
	if k := dec.PeekKind(); k != '{' && k != '[' || *v != nil {
		return errors.ErrUnsupported // the default will do
	}
	value, err := d.read(dec)
	*v = value
	return err
}

func (d *decoder) read(dec *jsontext.Decoder) (any, error) {
	token, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		return d.readObject(dec)
	case '[':
		list := []any{}
		for dec.PeekKind() != ']' {
			value, err := d.read(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = dec.ReadToken()
		return list, err
	case '"':
		return token.String(), nil
	case '0':
		text := token.String()
		f := number.Parse([]byte(text))
		if math.IsInf(f, 0) {
			return nil, errRange([]byte(text))
		}
		return f, nil
	case 'n':
		return nil, nil
	default:
		return token.Bool(), nil
	}
}

func (d *decoder) readObject(dec *jsontext.Decoder) (any, error) {
	object := map[string]any{}
	for dec.PeekKind() != '}' {
		key, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := key.String() // before the next read makes it invalid
		if object[name], err = d.read(dec); err != nil {
			return nil, err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	if object["_placeholder"] == true {
		if n, ok := object["num"].(float64); ok && n >= 0 && int(n) < len(d.attachments) {
			return d.attachments[int(n)], nil
		}
	}
	return object, nil
}

// unmarshalFloat reads floats of any type. The package json takes 35 µs for one like 3e-324.
func unmarshalFloat(dec *jsontext.Decoder, v any) error {
	into := reflect.ValueOf(v).Elem()
	if k := into.Kind(); dec.PeekKind() != '0' || k != reflect.Float64 && k != reflect.Float32 {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	f := number.Parse(raw)
	if math.IsInf(f, 0) || into.OverflowFloat(f) {
		return errRange(raw)
	}
	into.SetFloat(f)
	return nil
}

func unmarshalDuration(dec *jsontext.Decoder, v *time.Duration) error {
	if dec.PeekKind() == 'n' {
		*v = 0
		return dec.SkipValue()
	}
	var ms float64
	if err := json.UnmarshalDecode(dec, &ms); err != nil {
		return err
	}
	*v = durationOf(ms)
	return nil
}

// durationOf rounds: 1.234567 ms times a million is a little less than 1,234,567.
func durationOf(ms float64) time.Duration {
	return time.Duration(math.Round(ms * float64(time.Millisecond)))
}
