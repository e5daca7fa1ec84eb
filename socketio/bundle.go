package socketio

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// bundle serves the client's files, compressed once for each encoding.
type bundle struct {
	files fs.FS

	once sync.Once
	etag string

	mu    sync.Mutex
	coded map[codedName][]byte
}

type codedName struct{ name, encoding string }

// bundleNames are the files that belong to the client; each has a .map.
var bundleNames = map[string]bool{
	"socket.io.js": true, "socket.io.min.js": true, "socket.io.esm.min.js": true, "socket.io.msgpack.min.js": true,
}

func newBundle(files fs.FS) *bundle {
	return &bundle{files: files, coded: make(map[codedName][]byte)}
}

// bundleName returns the client file that r asks for, by any method and with any query, or "".
func (s *Server) bundleName(r *http.Request) string {
	target := r.RequestURI
	if target == "" {
		target = r.URL.EscapedPath()
	}
	target, _, _ = strings.Cut(target, "?")
	name := strings.TrimPrefix(strings.TrimPrefix(target, strings.TrimSuffix(s.cfg.Path, "/")), "/")
	if bundleNames[strings.TrimSuffix(name, ".map")] {
		return name
	}
	return ""
}

func (b *bundle) serve(w http.ResponseWriter, r *http.Request, name string) {
	var text []byte
	err := fs.ErrNotExist
	if b.files != nil {
		text, err = fs.ReadFile(b.files, name)
	}
	if err != nil {
		http.Error(w, "The client's files are not part of this server. Give it the folder dist of the npm package socket.io-client "+
			"as Config.ClientBundle, or load the client from elsewhere.", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=0")
	etag := b.version()
	if match := r.Header.Get("If-None-Match"); etag != "" && (match == etag || match == "W/"+etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if etag != "" {
		h.Set("ETag", etag)
	}
	h.Set("Content-Type", "application/javascript; charset=utf-8")
	if strings.HasSuffix(name, ".map") {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	h.Add("Vary", "Accept-Encoding")
	if encoding := acceptedEncoding(r.Header.Get("Accept-Encoding")); encoding != "" {
		h.Set("Content-Encoding", encoding)
		text = b.compressed(codedName{name, encoding}, text)
	}
	w.Write(text)
}

var versionIn = regexp.MustCompile(`Socket\.IO v(\d+\.\d+\.\d+[\w.-]*)`)

// version returns the version that the client's files name, in quotes, or "".
func (b *bundle) version() string {
	b.once.Do(func() {
		for name := range bundleNames {
			text, err := fs.ReadFile(b.files, name)
			if m := versionIn.FindSubmatch(text[:min(len(text), 1024)]); err == nil && m != nil {
				b.etag = `"` + string(m[1]) + `"`
				return
			}
		}
	})
	return b.etag
}

// acceptedEncoding picks the encoding that the client prefers: of those with the same weight, the
// first.
func acceptedEncoding(accept string) (best string) {
	most := 0.0
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(part, ";")
		q := 1.0
		if text, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
			q, _ = strconv.ParseFloat(text, 64)
		}
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "br", "gzip", "deflate":
			if q > most {
				best, most = name, q
			}
		}
	}
	return best
}

func (b *bundle) compressed(as codedName, text []byte) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if coded := b.coded[as]; coded != nil {
		return coded
	}
	var out bytes.Buffer
	var w io.WriteCloser
	switch as.encoding {
	case "br":
		w = brotli.NewWriter(&out)
	case "gzip":
		w = gzip.NewWriter(&out)
	default: // what HTTP calls deflate
		w = zlib.NewWriter(&out)
	}
	_, _ = w.Write(text) // a bytes.Buffer takes all: neither can fail
	_ = w.Close()
	b.coded[as] = out.Bytes()
	return out.Bytes()
}
