package engine

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// tail is what RFC 7692 leaves off at the end of a compressed message, and an end to the stream.
var tail = []byte{0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff}

// deflater compresses single messages.
type deflater struct {
	out bytes.Buffer
	w   *flate.Writer
}

var deflaters = sync.Pool{New: func() any {
	d := new(deflater)
	d.w, _ = flate.NewWriter(&d.out, flate.BestSpeed) // the level is valid
	return d
}}

// deflated compresses the parts of a message into one, lends it to use, and returns what that makes
// of it.
func deflated(use func([]byte) []byte, parts ...[]byte) []byte {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.w.Reset(&d.out)
	for _, p := range parts {
		_, _ = d.w.Write(p) // into memory: no error
	}
	_ = d.w.Flush()
	return use(bytes.TrimSuffix(d.out.Bytes(), tail[:4]))
}

var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// inflate decompresses one message, of limit bytes at most.
func inflate(message []byte, limit int) ([]byte, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	src := io.MultiReader(bytes.NewReader(message), bytes.NewReader(tail))
	if err := r.(flate.Resetter).Reset(src, nil); err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(out) > limit {
		err = ErrTooLarge
	}
	return out, err
}
