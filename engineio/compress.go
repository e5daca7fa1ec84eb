package engineio

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"

	"github.com/sidereal-io/sidereal/internal/bufpool"
)

// acceptedEncoding picks gzip or deflate by the lines of Accept-Encoding: the first one if both
// have the same weight, or "".
func acceptedEncoding(lines []string) string {
	best, most, any := "", 0.0, 0.0
	named := map[string]bool{}
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(item, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			q := 1.0
			if v, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
				q, _ = strconv.ParseFloat(v, 64)
			}
			named[name] = true
			switch {
			case name == "*":
				any = q
			case (name == "gzip" || name == "deflate") && q > most:
				best, most = name, q
			}
		}
	}
	for _, name := range []string{"gzip", "deflate"} {
		if !named[name] && any > most {
			best, most = name, any
		}
	}
	return best
}

type compressor interface {
	io.WriteCloser
	Reset(io.Writer)
}

var (
	gzips = sync.Pool{New: func() any { return compressor(gzip.NewWriter(nil)) }}
	zlibs = sync.Pool{New: func() any { return compressor(zlib.NewWriter(nil)) }} // what HTTP calls deflate
)

// compressBody compresses into a borrowed buffer.
func compressBody(encoding string, body []byte) []byte {
	pool := &gzips
	if encoding == "deflate" {
		pool = &zlibs
	}
	c := pool.Get().(compressor)
	defer pool.Put(c)
	out := bytes.NewBuffer(bufpool.Get(len(body)/2 + 64))
	c.Reset(out) // a bytes.Buffer takes all: neither Write nor Close can fail
	_, _ = c.Write(body)
	_ = c.Close()
	return out.Bytes()
}
