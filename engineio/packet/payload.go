package packet

import (
	"bytes"
	"iter"
)

// Separator stands between the packets of a payload.
const Separator = 0x1e

// AppendPayload appends the packets as one polling body.
func AppendPayload(dst []byte, ps ...Packet) []byte {
	for i, p := range ps {
		if i > 0 {
			dst = append(dst, Separator)
		}
		dst = AppendText(dst, p)
	}
	return dst
}

// Payload yields the packets of a polling body in order. An invalid packet is yielded as an error
// and ends the sequence; the packets before it stand. An empty body is one empty packet, which is
// invalid.
func Payload(body []byte) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for {
			text := body
			end := bytes.IndexByte(body, Separator)
			if end >= 0 {
				text, body = body[:end], body[end+1:]
			}
			p, err := ParseText(text)
			if !yield(p, err) || err != nil || end < 0 {
				return
			}
		}
	}
}
