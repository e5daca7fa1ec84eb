package wire

import "github.com/sidereal-io/sidereal/internal/msgpack"

// ErrMalformed reports bytes that no adapter of Node would have written. The sender is at fault;
// the receiver counts the message and drops it.
var ErrMalformed = msgpack.ErrMalformed

const (
	// maxDepth bounds how deep arrays and maps may nest. Node's notepack has no bound,
	// @msgpack/msgpack stops at 100.
	maxDepth = 512
	// maxAttachments bounds the binary parts of one packet: each costs a client a frame and the
	// receiver 35 bytes of placeholder for two bytes of message.
	maxAttachments = 1 << 16
)

// reader walks the values of a message without allocating.
type reader = msgpack.Reader

// DecodeValue appends msgpack's one value as JSON text to dst. Binary goes to attachments, which alias msg, and leaves a
// placeholder that counts from the attachments already there. Trailing bytes are an error.
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
