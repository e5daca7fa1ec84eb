package packet

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Args are the arguments of one event or acknowledgement, kept as the JSON text they came in and
// decoded when asked for. Given as an argument to an encoder they expand to all their values,
// unchanged: what was received is sent on without being decoded. An Args value is immutable; it may
// be kept and shared.
type Args struct {
	text   []byte
	spans  []span  // one for each value, in the text
	binary *binary // nil without attachments
	odd    bool    // there may be numbers in the text that JavaScript would print otherwise
}

// span is where a value lies in the text.
type span struct{ from, to uint32 }

// hole is a placeholder in the text, and the attachment it stands for.
type hole struct {
	span
	attachment uint32
}

type binary struct {
	holes       []hole // in the order of the text
	attachments [][]byte
}

// ErrMissing reports an argument that was not sent.
var ErrMissing = errors.New("packet: no such argument")

// With returns a with the attachments its placeholders name: as many as ParseEvent or ParseArgs was
// told of.
func (a Args) With(attachments [][]byte) Args {
	if a.binary != nil {
		a.binary = &binary{holes: a.binary.holes, attachments: attachments}
	}
	return a
}

// Len is the number of arguments.
func (a Args) Len() int { return len(a.spans) }

// Raw is the JSON text of argument i, with placeholders for binary parts and numbers as JavaScript
// prints them; nil when there is no such argument. It must not be changed.
func (a Args) Raw(i int) json.RawMessage {
	if i < 0 || i >= len(a.spans) {
		return nil
	}
	s := a.spans[i]
	if a.odd {
		return appendNumbers(nil, a.text[s.from:s.to])
	}
	return a.text[s.from:s.to:s.to]
}

// Value is argument i, undecoded; null when there is no such argument.
func (a Args) Value(i int) Value {
	if i < 0 || i >= len(a.spans) {
		return Value{}
	}
	return Value{a.Slice(i, i+1)}
}

// Slice returns the arguments from i up to, without, j, as s[i:j] does.
func (a Args) Slice(i, j int) Args {
	a.spans = a.spans[i:j:j]
	return a
}

// Decode decodes argument i into the value v points to. It returns ErrMissing when there is no such
// argument.
//
// Values decode as with encoding/json, with these additions: binary parts into []byte (in an any,
// too), milliseconds into time.Duration, and null into the zero value of anything. A []byte takes
// nothing but binary and null.
func (a Args) Decode(i int, v any) error {
	if i < 0 || i >= len(a.spans) {
		return fmt.Errorf("argument %d: %w", i, ErrMissing)
	}
	if err := a.decode(a.Raw(i), v); err != nil {
		return fmt.Errorf("argument %d: %w", i, err)
	}
	return nil
}

// Scan decodes the first arguments into the values that vs point to. Arguments that were not sent
// leave their value as it is.
func (a Args) Scan(vs ...any) error {
	for i, v := range vs {
		if i == len(a.spans) {
			return nil
		}
		if err := a.Decode(i, v); err != nil {
			return err
		}
	}
	return nil
}

// Payload returns the arguments in wire form, their attachments numbered anew.
func (a Args) Payload() Payload {
	text, attachments := a.append([]byte{'['}, nil)
	return Payload{JSON: append(text, ']'), Attachments: attachments}
}

// append appends the values, separated by commas, and their attachments. Attachments are numbered
// in the order of the text, one for each placeholder, as JavaScript does when it sends what it
// received.
func (a Args) append(dst []byte, attachments [][]byte) ([]byte, [][]byte) {
	holes := a.holes()
	for i, s := range a.spans {
		if i > 0 {
			dst = append(dst, ',')
		}
		at := s.from
		for len(holes) > 0 && holes[0].from < s.to {
			h := holes[0]
			holes = holes[1:]
			dst = a.appendText(dst, at, h.from)
			dst, attachments = appendBinary(dst, attachments, a.binary.attachments[h.attachment])
			at = h.to
		}
		dst = a.appendText(dst, at, s.to)
	}
	return dst, attachments
}

// appendText appends a part of the text in which there are no placeholders.
func (a Args) appendText(dst []byte, from, to uint32) []byte {
	if a.odd {
		return appendNumbers(dst, a.text[from:to])
	}
	return append(dst, a.text[from:to]...)
}

// holes are the placeholders from the first of the values on.
func (a Args) holes() []hole {
	if a.binary == nil || len(a.spans) == 0 {
		return nil
	}
	list := a.binary.holes
	first, _ := slices.BinarySearchFunc(list, a.spans[0].from, func(h hole, from uint32) int { return cmp.Compare(h.from, from) })
	return list[first:]
}

// String is the JSON text of the arguments, for people.
func (a Args) String() string {
	return string(a.Payload().JSON)
}
