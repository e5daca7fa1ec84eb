package msgpack

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	codec "github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/sidereal-io/sidereal/internal/number"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// appendPacket appends a packet as {type, data, nsp, id}, without what it has not.
func appendPacket(dst []byte, p packet.Packet) []byte {
	w := writer{out: dst, attachments: p.Payload.Attachments}
	w.enc = codec.GetEncoder()
	defer codec.PutEncoder(w.enc)
	w.enc.Reset(&w)
	members := 2
	if p.Payload.JSON != nil {
		members++
	}
	if p.ID >= 0 {
		members++
	}
	w.enc.EncodeMapLen(members) // a writer that only appends does not fail
	w.enc.EncodeString("type")
	w.enc.EncodeInt(int64(p.Type))
	if p.Payload.JSON != nil {
		w.enc.EncodeString("data")
		w.text = p.Payload.JSON
		w.in = jsontext.NewDecoder(bytes.NewBuffer(p.Payload.JSON), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
		w.value()
	}
	w.enc.EncodeString("nsp")
	w.enc.EncodeString(p.Namespace)
	if p.ID >= 0 {
		w.enc.EncodeString("id")
		w.enc.EncodeInt(p.ID)
	}
	return w.out
}

// writer turns JSON text with placeholders, well-formed, into MessagePack.
type writer struct {
	text        []byte
	in          *jsontext.Decoder
	attachments [][]byte
	enc         *codec.Encoder // writes to out
	out         []byte
}

func (w *writer) Write(b []byte) (int, error) {
	w.out = append(w.out, b...)
	return len(b), nil
}

func (w *writer) WriteByte(b byte) error {
	w.out = append(w.out, b)
	return nil
}

func (w *writer) value() {
	switch w.in.PeekKind() {
	case '[':
		w.container(msgpcode.FixedArrayLow, msgpcode.Array16, ']')
	case '{':
		if b, ok := w.placeholder(); ok {
			w.in.SkipValue()
			w.enc.EncodeBytes(b)
			return
		}
		w.container(msgpcode.FixedMapLow, msgpcode.Map16, '}')
	default:
		token, err := w.in.ReadToken()
		if err != nil {
			w.enc.EncodeNil()
			return
		}
		w.scalar(token)
	}
}

func (w *writer) scalar(token jsontext.Token) {
	switch token.Kind() {
	case '"':
		w.enc.EncodeString(token.String())
	case '0':
		w.number(token.String())
	case 't', 'f':
		w.enc.EncodeBool(token.Bool())
	default:
		w.enc.EncodeNil()
	}
}

// number writes an integer as one, as notepack does.
func (w *writer) number(text string) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		w.enc.EncodeInt(n)
		return
	}
	w.enc.EncodeFloat64(number.Parse([]byte(text)))
}

// container writes a header for few members first, which is widened should there be more than 15.
func (w *writer) container(few, many, closing byte) {
	w.in.ReadToken()
	header, n := len(w.out), 0
	w.out = append(w.out, few)
	for w.in.PeekKind() != jsontext.Kind(closing) {
		if w.in.PeekKind() == 0 {
			return // malformed, which it is not
		}
		if closing == '}' {
			key, _ := w.in.ReadToken()
			w.enc.EncodeString(key.String())
		}
		w.value()
		n++
	}
	w.in.ReadToken()
	switch {
	case n < 16:
		w.out[header] |= byte(n)
	case n <= math.MaxUint16:
		w.out[header] = many
		w.out = slices.Insert(w.out, header+1, byte(n>>8), byte(n))
	default:
		w.out[header] = many + 1
		w.out = slices.Insert(w.out, header+1, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
}

// placeholder is the attachment for which the object at hand stands, if it does. All placeholders are written alike.
func (w *writer) placeholder() ([]byte, bool) {
	if len(w.attachments) == 0 {
		return nil, false
	}
	at := bytes.TrimLeft(w.text[w.in.InputOffset():], " \t\r\n,:")
	digits, ok := bytes.CutPrefix(at, []byte(`{"_placeholder":true,"num":`))
	if !ok {
		return nil, false
	}
	digits, _, ok = bytes.Cut(digits, []byte{'}'})
	n, err := strconv.Atoi(string(digits))
	if !ok || err != nil || n < 0 || n >= len(w.attachments) {
		return nil, false
	}
	return w.attachments[n], true
}
