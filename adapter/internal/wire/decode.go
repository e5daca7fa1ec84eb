package wire

import "github.com/sidereal-io/sidereal/internal/msgpack"

// ErrMalformed reports bytes that no adapter of Node writes. The sender is at fault; the receiver
// counts the message and drops it.
var ErrMalformed = msgpack.ErrMalformed

const (
	// maxDepth limits the nesting of arrays and maps. Node's notepack has no limit,
	// @msgpack/msgpack stops at 100.
	maxDepth = 512
	// maxAttachments limits the binary parts of one packet. Each costs a client a frame, and the
	// receiver 35 bytes of placeholder for two bytes of message.
	maxAttachments = 1 << 16
)

// reader reads the values of a message without allocating.
type reader = msgpack.Reader

// DecodeValue appends msgpack's one value as JSON to dst. It adds binary to attachments, which
// alias msg, and writes a placeholder with the attachment's number. Trailing bytes are an error.
func DecodeValue(dst []byte, attachments [][]byte, msg []byte) ([]byte, [][]byte, error) {
	w := msgpack.JSON{Reader: reader{B: msg}, Out: dst, Attachments: attachments, MaxAttachments: maxAttachments, MaxDepth: maxDepth}
	if err := w.Value(); err != nil {
		return dst, attachments, err
	}
	if w.I != len(msg) {
		return dst, attachments, ErrMalformed
	}
	return w.Out, w.Attachments, nil
}
