package engineio

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"

	"github.com/sidereal-io/sidereal/internal/bufpool"
)

// deflateTail ends each message in the stream and is not sent (RFC 7692, 7.2.1); the empty last
// block behind it makes the reader see an end.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// deflateAnswer accepts an offer. Neither side keeps its window, so that a message is compressed
// once for all receivers and no connection holds memory for it.
const deflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

var (
	deflaters = sync.Pool{New: func() any {
		w, _ := flate.NewWriter(nil, flate.DefaultCompression) // fails only for a level that there isn't
		return w
	}}
	inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}
)

// deflateFrame is a server's frame with a compressed payload.
func deflateFrame(op byte, payload []byte) []byte {
	buf := bytes.NewBuffer(bufpool.Get(len(payload)/2 + 64))
	w := deflaters.Get().(*flate.Writer)
	w.Reset(buf) // a bytes.Buffer takes all: neither Write nor Flush can fail
	_, _ = w.Write(payload)
	_ = w.Flush()
	deflaters.Put(w)
	data := bytes.TrimSuffix(buf.Bytes(), []byte(deflateTail[:4]))
	frame := append(appendFrameHeader(make([]byte, 0, maxServerHeader+len(data)), op|rsv1Bit, len(data)), data...)
	bufpool.Put(buf.Bytes())
	return frame
}

// inflate gives a message's data in a borrowed buffer; more than limit bytes are errTooBig.
func inflate(data []byte, limit int64) ([]byte, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	// flate reads nothing in Reset, so it has no error to return
	_ = r.(flate.Resetter).Reset(io.MultiReader(bytes.NewReader(data), strings.NewReader(deflateTail)), nil)
	out := bufpool.Get(int(min(int64(4*len(data)+512), limit+1, 64<<10)))
	for {
		out = bufpool.Grow(out, 1)
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case int64(len(out)) > limit:
			bufpool.Put(out)
			return nil, errTooBig
		case err == io.EOF:
			return out, nil
		case err != nil:
			bufpool.Put(out)
			return nil, errDeflate
		}
	}
}

// acceptsDeflate looks for an offer of permessage-deflate that we can keep: no smaller window of
// ours than the usual.
func acceptsDeflate(offers []string) bool {
	for _, line := range offers {
		for offer := range strings.SplitSeq(line, ",") {
			if keepableOffer(offer) {
				return true
			}
		}
	}
	return false
}

func keepableOffer(offer string) bool {
	name, params, _ := strings.Cut(offer, ";")
	if strings.TrimSpace(name) != "permessage-deflate" {
		return false
	}
	for param := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(param, "=")
		switch strings.TrimSpace(key) {
		case "", "server_no_context_takeover", "client_no_context_takeover", "client_max_window_bits":
		case "server_max_window_bits":
			if strings.Trim(value, ` "`) != "15" {
				return false
			}
		default:
			return false
		}
	}
	return true
}
