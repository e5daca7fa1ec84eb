package engineio

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"

	"github.com/sidereal-io/sidereal/internal/bufpool"
)

// acceptedEncoding picks gzip or deflate by Accept-Encoding, gzip where both are as welcome, "" for neither.
func acceptedEncoding(h http.Header) string {
	quality := map[string]float64{}
	for _, line := range h["Accept-Encoding"] {
		for item := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(item, ";")
			q := 1.0
			if v, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
				q, _ = strconv.ParseFloat(v, 64)
			}
			quality[strings.ToLower(strings.TrimSpace(name))] = q
		}
	}
	accepts := func(name string) float64 {
		if q, ok := quality[name]; ok {
			return q
		}
		return quality["*"]
	}
	gz, def := accepts("gzip"), accepts("deflate")
	switch {
	case gz > 0 && gz >= def:
		return "gzip"
	case def > 0:
		return "deflate"
	}
	return ""
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
	c.Reset(out) // a bytes.Buffer takes all; neither Write nor Close can fail
	c.Write(body)
	c.Close()
	return out.Bytes()
}
