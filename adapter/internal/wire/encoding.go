package wire

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/internal/msgpack"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// encoding is one of the two encodings of a cluster message. Its methods read values without
// decoding others.
type encoding bool

const (
	asText   encoding = true // JSON
	asPacked encoding = false
)

// encodingOf returns the encoding of a message. Like Node, it looks at the first byte.
func encodingOf(msg []byte) encoding { return len(msg) > 0 && msg[0] == '{' }

// each calls visit for the fields of an object. It doesn't allocate.
func (e encoding) each(object []byte, visit func(key, value []byte) error) error {
	if e == asText {
		return eachText(object, visit)
	}
	r := reader{B: object}
	n, err := r.Open(msgpack.Map)
	for ; err == nil && n > 0; n-- {
		var key, value []byte
		if key, err = r.String(); err != nil {
			break
		}
		if value, err = r.Raw(); err == nil {
			err = visit(key, value)
		}
	}
	if err == nil && r.I != len(object) {
		err = ErrMalformed
	}
	return err
}

func eachText(object []byte, visit func(key, value []byte) error) error {
	w := scanner{msgpack.Text{In: object}}
	if !w.Take('{') {
		return ErrMalformed
	}
	for first := true; !w.Take('}'); first = false {
		if !first && !w.Take(',') {
			return ErrMalformed
		}
		key, err := w.skim()
		if err != nil || key[0] != '"' || !w.Take(':') {
			return ErrMalformed
		}
		value, err := w.skim()
		if err != nil {
			return err
		}
		if err := visit(key[1:len(key)-1], value); err != nil {
			return err
		}
		w.Space()
	}
	if w.I != len(object) {
		return ErrMalformed
	}
	return nil
}

// scanner reads JSON text without decoding it.
type scanner struct{ msgpack.Text }

// skim returns the text of the value at the cursor. It looks only for the value's end.
func (w *scanner) skim() ([]byte, error) {
	from, depth := w.I, 0
	for w.I < len(w.In) {
		switch c := w.In[w.I]; c {
		case '"':
			if err := w.skimString(); err != nil {
				return nil, err
			}
			if depth == 0 {
				return w.In[from:w.I], nil
			}
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				return nil, ErrMalformed
			}
		case '}', ']', ',', ' ', '\t', '\n', '\r', ':':
			if depth == 0 { // the end of a number or literal
				if w.I == from {
					return nil, ErrMalformed
				}
				return w.In[from:w.I], nil
			}
			if c == '}' || c == ']' {
				if depth--; depth == 0 {
					w.I++
					return w.In[from:w.I], nil
				}
			}
		}
		w.I++
	}
	return nil, ErrMalformed
}

func (w *scanner) skimString() error {
	for w.I++; w.I < len(w.In); w.I++ {
		n := bytes.IndexByte(w.In[w.I:], '"')
		if n < 0 {
			break
		}
		end, escapes := w.I+n, 0
		for p := end - 1; p >= w.I && w.In[p] == '\\'; p-- {
			escapes++
		}
		w.I = end
		if escapes%2 == 0 {
			w.I++
			return nil
		}
	}
	return ErrMalformed
}

// string reads a string. It allocates only for escapes in JSON.
func (e encoding) string(v []byte) ([]byte, error) {
	if e == asPacked {
		r := reader{B: v}
		return r.String()
	}
	if len(v) < 2 || v[0] != '"' {
		return nil, ErrMalformed
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1], nil
	}
	var s string
	if json.Unmarshal(v, &s, lenient) != nil {
		return nil, ErrMalformed
	}
	return []byte(s), nil
}

// integer reads a small integer.
func (e encoding) integer(v []byte) (int, error) {
	if e == asText {
		if len(v) > 10 {
			return 0, ErrMalformed
		}
		n, err := strconv.Atoi(string(v))
		if err != nil {
			return 0, ErrMalformed
		}
		return n, nil
	}
	r := reader{B: v}
	u, err := r.Next()
	if err != nil || u.Kind != msgpack.Uint || u.Num > 1<<31 {
		return 0, ErrMalformed
	}
	return int(u.Num), nil
}

func (e encoding) isNull(v []byte) bool {
	return e == asText && string(v) == "null" || e == asPacked && len(v) == 1 && v[0] == 0xc0
}

func (e encoding) isTrue(v []byte) bool {
	return e == asText && string(v) == "true" || e == asPacked && len(v) == 1 && v[0] == 0xc3
}

// isEvent reports whether v may be an array that begins with an event's name.
func (e encoding) isEvent(v []byte) bool {
	if e == asText {
		w := scanner{msgpack.Text{In: v}}
		return w.Take('[') && (w.Peek() == '"' || w.Peek() == '-' || w.Peek() >= '0' && w.Peek() <= '9')
	}
	return checkEvent(v) == nil
}

// text returns a value as JSON, which may alias it. It checks that the text is JSON and fit for
// clients.
func (e encoding) text(v []byte) (text []byte, attachments [][]byte, err error) {
	switch {
	case e == asPacked:
		return DecodeValue(make([]byte, 0, len(v)+len(v)/4+16), nil, v)
	case !jsontext.Value(v).IsValid(lenient):
		return nil, nil, ErrMalformed
	case utf8.Valid(v):
		return v, nil, nil
	}
	packed, err := appendValue(nil, v, nil) // replaces invalid UTF-8
	if err != nil {
		return nil, nil, err
	}
	return DecodeValue(nil, nil, packed)
}

// roomList returns a list of rooms, in scratch or aliasing v. Without a list the result is empty.
func (e encoding) roomList(scratch, v []byte) (RoomList, error) {
	if v == nil {
		return nil, nil
	}
	if e == asText {
		var err error
		if v, err = appendValue(scratch[:0], v, nil); err != nil {
			return nil, err
		}
	}
	r := reader{B: v}
	return parseRoomList(&r)
}

// flags returns the known flags, or none if v can't be read.
func (e encoding) flags(v []byte) Flags {
	if e == asText {
		var err error
		if v, err = appendValue(nil, v, nil); err != nil {
			return Flags{}
		}
	}
	return parseFlags(v)
}

// readSockets reads a JSON array of sockets.
func readSockets(text []byte, attachments [][]byte) ([]Socket, error) {
	var fields []socketFields
	if err := json.Unmarshal(text, &fields, lenient); err != nil || fields == nil {
		return nil, ErrMalformed
	}
	return sockets(fields, attachments)
}

// Plain returns p with its attachments in the text, as JSON.stringify writes a Buffer.
func Plain(p packet.Payload) packet.Payload {
	return packet.Payload{JSON: inlineBuffers(p.JSON, p.Attachments)}
}

// inlineBuffers replaces placeholders by JSON.stringify's form of a Buffer.
func inlineBuffers(text []byte, attachments [][]byte) []byte {
	return replacePlaceholders(text, attachments, func(dst []byte, n int) []byte {
		dst = append(dst, `{"type":"Buffer","data":[`...)
		for k, b := range attachments[n] {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendUint(dst, uint64(b), 10)
		}
		return append(dst, "]}"...)
	})
}

// ownAttachments returns the attachments of a part of a message, and the part with new numbers.
func ownAttachments(text []byte, all [][]byte) (_ []byte, own [][]byte) {
	text = replacePlaceholders(text, all, func(dst []byte, n int) []byte {
		dst = append(strconv.AppendInt(append(dst, `{"_placeholder":true,"num":`...), int64(len(own)), 10), '}')
		own = append(own, all[n])
		return dst
	})
	return text, own
}

// replacePlaceholders calls write in place of each placeholder in text, which DecodeValue or an
// encoder of ours wrote: quotes in strings are escaped. It skips placeholders of an attachment
// that another placeholder has had.
func replacePlaceholders(text []byte, attachments [][]byte, write func(dst []byte, n int) []byte) []byte {
	if len(attachments) == 0 {
		return text
	}
	out := make([]byte, 0, 2*len(text))
	var taken msgpack.Once
	for {
		i := bytes.Index(text, []byte(`{"_placeholder":true,"num":`))
		if i < 0 {
			return append(out, text...)
		}
		w := scanner{msgpack.Text{In: text, I: i, Attachments: attachments}}
		n, end, ok := w.Placeholder()
		if !ok || !taken.Take(n) {
			out = append(out, text[:i+1]...)
			text = text[i+1:]
			continue
		}
		out = write(append(out, text[:i]...), n)
		text = text[end:]
	}
}
