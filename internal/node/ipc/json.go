package ipc

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/internal/number"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

func appendJSON(dst []byte, v Value, limit int) ([]byte, error) {
	return AppendText(dst, v, limit, nil)
}

func readJSON(text []byte) (Value, error) {
	v, err := FromText(text, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return v, nil
}

// AppendText appends v as JSON.stringify does, at most limit bytes. Binary data becomes the
// object that a Buffer becomes there. If attachments isn't nil, binary data is appended to it and
// leaves a placeholder, as in Socket.IO's packets. A value that JSON.stringify leaves out becomes
// null at the top level.
func AppendText(dst []byte, v Value, limit int, attachments *[][]byte) ([]byte, error) {
	t := &texter{b: dst, limit: len(dst) + limit, attachments: attachments}
	t.value(v, 0)
	return t.b, t.err
}

type texter struct {
	b           []byte
	limit       int
	attachments *[][]byte
	err         error
}

func (t *texter) fail(why string) {
	if t.err == nil {
		t.err = fmt.Errorf("%w: %s", ErrUnencodable, why)
	}
}

func (t *texter) value(v Value, depth int) {
	switch {
	case t.err != nil:
		return
	case depth > maxDepth:
		t.fail("too deep")
		return
	case len(t.b) > t.limit:
		t.fail("too large")
		return
	}
	switch v := v.(type) {
	case nil, Undefined:
		t.b = append(t.b, "null"...)
	case bool:
		t.b = strconv.AppendBool(t.b, v)
	case float64:
		t.b = packet.AppendNumber(t.b, v)
	case string:
		t.text(v)
	case []byte:
		t.binary(v)
	case Date:
		t.date(float64(v))
	case *Array:
		t.array(v, depth)
	case *Object:
		t.object(v, depth)
	case Opaque:
		if v == BigInt {
			t.fail("a BigInt")
		}
		t.b = append(t.b, "{}"...)
	default:
		t.fail(fmt.Sprintf("a %T", v))
	}
}

func (t *texter) text(s string) {
	t.b, _ = jsontext.AppendQuote(t.b, s) // its only error is the invalid UTF-8 that it has replaced
}

func (t *texter) binary(b []byte) {
	if t.attachments != nil {
		t.b = append(t.b, `{"_placeholder":true,"num":`...)
		t.b = strconv.AppendInt(t.b, int64(len(*t.attachments)), 10)
		t.b = append(t.b, '}')
		*t.attachments = append(*t.attachments, b)
		return
	}
	if len(t.b)+4*len(b) > t.limit {
		t.fail("too large")
		return
	}
	t.b = append(t.b, `{"type":"Buffer","data":[`...)
	for i, c := range b {
		if i > 0 {
			t.b = append(t.b, ',')
		}
		t.b = strconv.AppendUint(t.b, uint64(c), 10)
	}
	t.b = append(t.b, "]}"...)
}

// maxDate is the last millisecond of a JavaScript Date.
const maxDate = 8.64e15

func (t *texter) date(ms float64) {
	if math.IsNaN(ms) || math.Abs(ms) > maxDate {
		t.b = append(t.b, "null"...)
		return
	}
	at := time.UnixMilli(int64(ms)).UTC()
	if year := at.Year(); year < 0 || year > 9999 { // JavaScript gives these a sign and six digits
		t.b = fmt.Appendf(t.b, `"%+07d%s"`, year, at.Format("-01-02T15:04:05.000Z"))
		return
	}
	t.b = at.AppendFormat(t.b, `"2006-01-02T15:04:05.000Z"`)
}

func (t *texter) array(a *Array, depth int) {
	t.b = append(t.b, '[')
	for i, v := range a.Items {
		if i > 0 {
			t.b = append(t.b, ',')
		}
		t.value(v, depth+1)
	}
	t.b = append(t.b, ']')
}

func (t *texter) object(o *Object, depth int) {
	t.b = append(t.b, '{')
	some := false
	for i, key := range o.Keys {
		if _, none := o.Values[i].(Undefined); none {
			continue
		}
		if some {
			t.b = append(t.b, ',')
		}
		some = true
		t.text(key)
		t.b = append(t.b, ':')
		t.value(o.Values[i], depth+1)
	}
	t.b = append(t.b, '}')
}

// FromText decodes JSON. It replaces the placeholders of Socket.IO's packets with the
// attachments.
func FromText(text []byte, attachments [][]byte) (Value, error) {
	d := &texts{
		dec:         jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
		attachments: attachments,
	}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if rest := bytes.TrimSpace(text[d.dec.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("%w: text behind the value", ErrMalformed)
	}
	return v, nil
}

type texts struct {
	dec         *jsontext.Decoder
	attachments [][]byte
	taken       []bool // by attachment; nil until the first is taken
	elements    int
}

func (d *texts) value(depth int) (Value, error) {
	if d.elements++; depth > maxDepth || d.elements > maxElements {
		return nil, fmt.Errorf("%w: too deep, or too many elements", ErrMalformed)
	}
	token, err := d.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return token.Bool(), nil
	case '"':
		return token.String(), nil
	case '0':
		return number.Parse([]byte(token.String())), nil // infinite beyond float64's range, as in JavaScript
	case '[':
		return d.array(depth)
	default:
		return d.object(depth)
	}
}

func (d *texts) array(depth int) (Value, error) {
	a := &Array{}
	for d.dec.PeekKind() != ']' {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		a.Items = append(a.Items, v)
	}
	_, err := d.dec.ReadToken()
	return a, err
}

func (d *texts) object(depth int) (Value, error) {
	o := &Object{}
	for d.dec.PeekKind() != '}' {
		name, err := d.dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String() // before the next token overwrites it
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o.Set(key, v)
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return nil, err
	}
	if b, ok := d.attachment(o); ok {
		return b, nil
	}
	return o, nil
}

// attachment returns the attachment that o is the placeholder of.
func (d *texts) attachment(o *Object) ([]byte, bool) {
	if len(d.attachments) == 0 || len(o.Keys) != 2 || o.Get("_placeholder") != true {
		return nil, false
	}
	n, ok := o.Int("num")
	if !ok || n < 0 || n >= len(d.attachments) {
		return nil, false
	}
	if d.taken == nil {
		d.taken = make([]bool, len(d.attachments))
	}
	if d.taken[n] { // a client's plain data, which could copy the attachment any number of times
		return nil, false
	}
	d.taken[n] = true
	return d.attachments[n], true
}
