package msgpack

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	codec "github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// maxAttachments bounds the binary parts of a packet: each costs 35 bytes of JSON for two of a message.
const maxAttachments = 1 << 12

// jsDate is how JSON.stringify prints a Date.
const jsDate = "2006-01-02T15:04:05.000Z"

// Extensions that notepack writes. What its own extension means is told by the length, and by whether the code says
// that: one byte is undefined, eight are a Date, and a length that is written out is that of an ArrayBuffer.
const (
	extTimestamp = -1
	extNotepack  = 0
)

// reader turns MessagePack into JSON text with placeholders.
type reader struct {
	in          *bytes.Reader
	dec         *codec.Decoder
	out         []byte
	attachments [][]byte
}

// readPacket reads a whole packet: {type, nsp, data, id}, and members that mean nothing to a server.
func readPacket(data []byte) (p packet.Packet, err error) {
	in := bytes.NewReader(data)
	r := reader{in: in, dec: codec.GetDecoder()}
	defer codec.PutDecoder(r.dec)
	r.dec.Reset(in)
	members, err := r.dec.DecodeMapLen()
	if err != nil || members < 0 {
		return p, ErrMalformed
	}
	kind, named := -1, false
	p.ID = packet.NoID
	for range members {
		name, err := r.text()
		if err != nil {
			return p, ErrMalformed
		}
		switch string(name) {
		case "type":
			kind, err = r.dec.DecodeInt()
		case "nsp":
			var text []byte
			text, err = r.text()
			p.Namespace, named = string(text), true
		case "id":
			err = r.id(&p.ID)
		case "data":
			err = r.value(0)
			p.Payload = packet.Payload{JSON: r.out, Attachments: r.attachments}
		default:
			err = r.dec.Skip()
		}
		if err != nil {
			return p, ErrMalformed
		}
	}
	if in.Len() > 0 || !named || kind < int(packet.Connect) || kind > int(packet.ConnectError) {
		return p, ErrMalformed
	}
	p.Type = packet.Type(kind)
	if string(p.Payload.JSON) == "null" && (p.Type == packet.Connect || p.Type == packet.Disconnect) {
		p.Payload = packet.Payload{} // undefined, as some clients write it
	}
	return p, nil
}

// id reads an acknowledgement id; nil and undefined are none.
func (r *reader) id(id *int64) error {
	code, err := r.dec.PeekCode()
	if err != nil {
		return err
	}
	if code == msgpcode.Nil || msgpcode.IsFixedExt(code) {
		return r.dec.Skip()
	}
	if *id, err = r.dec.DecodeInt64(); err == nil && *id < 0 {
		err = ErrMalformed
	}
	return err
}

// text reads a string, no longer than what is left.
func (r *reader) text() ([]byte, error) {
	code, err := r.dec.PeekCode()
	if err != nil || !msgpcode.IsString(code) {
		return nil, ErrMalformed
	}
	return r.bytes()
}

// bytes reads a string or binary.
func (r *reader) bytes() ([]byte, error) {
	n, err := r.dec.DecodeBytesLen()
	if err != nil || n < 0 || n > r.in.Len() {
		return nil, ErrMalformed
	}
	b := make([]byte, n)
	return b, r.dec.ReadFull(b)
}

func (r *reader) value(depth int) error {
	code, err := r.dec.PeekCode()
	if err != nil {
		return err
	}
	switch {
	case msgpcode.IsFixedNum(code) || code >= msgpcode.Uint8 && code <= msgpcode.Int64:
		return r.integer(code)
	case msgpcode.IsString(code):
		text, err := r.text()
		r.out, _ = jsontext.AppendQuote(r.out, text) // its error is the invalid UTF-8 that it has replaced
		return err
	case msgpcode.IsBin(code):
		b, err := r.bytes()
		if err != nil {
			return err
		}
		return r.attach(b)
	case msgpcode.IsFixedArray(code) || code == msgpcode.Array16 || code == msgpcode.Array32:
		return r.array(depth + 1)
	case msgpcode.IsFixedMap(code) || code == msgpcode.Map16 || code == msgpcode.Map32:
		return r.object(depth + 1)
	case msgpcode.IsExt(code):
		return r.extension(msgpcode.IsFixedExt(code))
	}
	switch code {
	case msgpcode.Nil:
		r.out = append(r.out, "null"...)
		return r.dec.DecodeNil()
	case msgpcode.True, msgpcode.False:
		b, err := r.dec.DecodeBool()
		r.out = strconv.AppendBool(r.out, b)
		return err
	case msgpcode.Float, msgpcode.Double:
		f, err := r.dec.DecodeFloat64()
		r.out = packet.AppendNumber(r.out, f)
		return err
	}
	return ErrMalformed
}

func (r *reader) integer(code byte) error {
	if code == msgpcode.Uint64 {
		n, err := r.dec.DecodeUint64()
		r.out = strconv.AppendUint(r.out, n, 10)
		return err
	}
	n, err := r.dec.DecodeInt64()
	r.out = strconv.AppendInt(r.out, n, 10)
	return err
}

// attach puts a placeholder in the place of binary.
func (r *reader) attach(b []byte) error {
	if len(r.attachments) == maxAttachments {
		return ErrMalformed
	}
	r.out = append(r.out, `{"_placeholder":true,"num":`...)
	r.out = strconv.AppendInt(r.out, int64(len(r.attachments)), 10)
	r.out = append(r.out, '}')
	r.attachments = append(r.attachments, b)
	return nil
}

func (r *reader) array(depth int) error {
	n, err := r.dec.DecodeArrayLen()
	if err != nil || depth > maxDepth {
		return ErrMalformed
	}
	r.out = append(r.out, '[')
	for i := range n {
		if i > 0 {
			r.out = append(r.out, ',')
		}
		if err := r.value(depth); err != nil {
			return err
		}
	}
	r.out = append(r.out, ']')
	return nil
}

func (r *reader) object(depth int) error {
	n, err := r.dec.DecodeMapLen()
	if err != nil || depth > maxDepth {
		return ErrMalformed
	}
	r.out = append(r.out, '{')
	for i := range n {
		if i > 0 {
			r.out = append(r.out, ',')
		}
		key, err := r.text()
		if err != nil {
			return err
		}
		r.out, _ = jsontext.AppendQuote(r.out, key)
		r.out = append(r.out, ':')
		if err := r.value(depth); err != nil {
			return err
		}
	}
	r.out = append(r.out, '}')
	return nil
}

// extension reads what JavaScript has and JSON has not: a Date becomes its text, undefined null.
func (r *reader) extension(fixed bool) error {
	kind, n, err := r.dec.DecodeExtHeader()
	if err != nil || n < 0 || n > r.in.Len() {
		return ErrMalformed
	}
	b := make([]byte, n)
	if err := r.dec.ReadFull(b); err != nil {
		return err
	}
	switch {
	case kind == extTimestamp:
		return r.timestamp(b)
	case kind == extNotepack && !fixed:
		return r.attach(b)
	case kind == extNotepack && n == 1:
		r.out = append(r.out, "null"...)
		return nil
	case kind == extNotepack && n == 8:
		return r.date(time.UnixMilli(int64(binary.BigEndian.Uint64(b))))
	}
	return ErrMalformed
}

func (r *reader) timestamp(b []byte) error {
	var at time.Time
	switch len(b) {
	case 4:
		at = time.Unix(int64(binary.BigEndian.Uint32(b)), 0)
	case 8:
		n := binary.BigEndian.Uint64(b)
		at = time.Unix(int64(n&(1<<34-1)), int64(n>>34))
	case 12:
		at = time.Unix(int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b)))
	default:
		return ErrMalformed
	}
	return r.date(at)
}

func (r *reader) date(at time.Time) error {
	if at.Year() < 0 || at.Year() > 9999 {
		return ErrMalformed
	}
	r.out = append(r.out, '"')
	r.out = at.UTC().AppendFormat(r.out, jsDate)
	r.out = append(r.out, '"')
	return nil
}
