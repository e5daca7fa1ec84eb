package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"sync"
)

var (
	//go:embed page
	page embed.FS
	// charts has the files of uPlot, and its licence. A build without npm has a README there alone,
	// and the page shows figures in place of charts.
	//go:embed charts
	charts embed.FS
)

// policy lets the page load its own files, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// secure sets what browsers need to keep the page to itself.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
}

// file is an embedded file as it is served.
type file struct {
	body []byte
	kind string // the media type
	etag string
}

// files are the embedded files by name.
var files = sync.OnceValue(func() map[string]file {
	all := map[string]file{}
	for dir, from := range map[string]embed.FS{"page": page, "charts": charts} {
		entries, _ := fs.ReadDir(from, dir) // embedded: it can't fail
		for _, e := range entries {
			body, err := fs.ReadFile(from, path.Join(dir, e.Name()))
			kind := mime.TypeByExtension(path.Ext(e.Name()))
			if err != nil || path.Ext(e.Name()) == ".md" {
				continue
			}
			if kind == "" {
				kind = "text/plain; charset=utf-8" // the licence
			}
			sum := sha256.Sum256(body)
			all[e.Name()] = file{body, kind, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
		}
	}
	return all
})

func servePage(w http.ResponseWriter, r *http.Request) { files()["index.html"].serve(w, r) }

func serveFile(w http.ResponseWriter, r *http.Request) {
	f, ok := files()[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	f.serve(w, r)
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("ETag", f.etag)
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.kind)
	_, _ = w.Write(f.body) // an error means that the reader left
}
