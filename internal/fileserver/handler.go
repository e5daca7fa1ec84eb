package fileserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// handler answers requests for the files of a folder.
type handler struct {
	cfg      Config
	homepage string // relative to the folder
	auth     bool
	user     [sha256.Size]byte
	password [sha256.Size]byte
	log      *slog.Logger
	logged   atomic.Int64 // when, in Unix seconds: clients decide how often requests fail
}

// Handler returns a handler that serves the files of cfg.Folder. It logs requests that fail by a
// fault of this host.
func Handler(cfg Config, log *slog.Logger) http.Handler {
	h := &handler{cfg: cfg, homepage: relative(cfg.Homepage), log: log}
	h.auth = cfg.Username != "" || cfg.Password != ""
	h.user, h.password = sha256.Sum256([]byte(cfg.Username)), sha256.Sum256([]byte(cfg.Password))
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	if !h.allowed(r) {
		header.Set("WWW-Authenticate", `Basic realm="Authentication service"`)
		plain(w, http.StatusUnauthorized, "401 Unauthorized")
		return
	}
	header.Set("Access-Control-Allow-Origin", "*") // as PM2 has it
	header.Set("Access-Control-Allow-Methods", "GET")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		header.Set("Allow", "GET, HEAD, OPTIONS")
		plain(w, http.StatusMethodNotAllowed, "405 Method Not Allowed")
		return
	}
	root, err := os.OpenRoot(h.cfg.Folder)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer root.Close()
	h.serve(w, r, root)
}

// allowed reports whether the client gave the name and password. Comparing digests takes the same
// time for each wrong pair.
func (h *handler) allowed(r *http.Request) bool {
	if !h.auth {
		return true
	}
	name, password, _ := r.BasicAuth()
	user, secret := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(user[:], h.user[:])&subtle.ConstantTimeCompare(secret[:], h.password[:]) == 1
}

// serve answers with the file of the path. A single page app also has files of other folders below
// its pages: it finds them at the top, and everything else is its homepage.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, root *os.Root) {
	name := relative(r.URL.Path)
	names := []string{name}
	if name == "." {
		names[0] = h.homepage
	}
	if h.cfg.SPA {
		names = append(names, path.Base(name), h.homepage)
	}
	for _, name := range names {
		f, info, err := open(root, name)
		if errors.Is(err, errFolder) {
			f, info, err = open(root, path.Join(name, "index.html"))
			if err == nil && !strings.HasSuffix(r.URL.Path, "/") {
				f.Close()
				toFolder(w, r)
				return
			}
		}
		switch {
		case err == nil:
			h.send(w, r, f, info)
			return
		case !isMissing(err):
			h.fail(w, r, err)
			return
		}
	}
	h.missing(w, r, root)
}

// relative returns the name of a URL's path below the folder: "." for the folder itself.
func relative(urlPath string) string {
	if name := path.Clean("/" + urlPath)[1:]; name != "" {
		return name
	}
	return "."
}

var (
	errFolder = errors.New("is a folder")
	errHidden = fmt.Errorf("is hidden: %w", fs.ErrNotExist)
)

// open opens a regular file. It doesn't wait for the other end of a pipe.
func open(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	if hidden(name) {
		return nil, nil, errHidden
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = errFolder
	case !info.Mode().IsRegular():
		err = fs.ErrNotExist
	default:
		return f, info, nil
	}
	f.Close()
	return nil, nil, err
}

// hidden reports whether a part of a name begins with a dot, like .env and .git.
func hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") && part != "." && part != ".well-known" {
			return true
		}
	}
	return false
}

// isMissing reports whether a name leads to no file that clients may have. Names that the system
// can't have, and links out of the folder, lead to none.
func isMissing(err error) bool {
	var bad *fs.PathError
	if !errors.As(err, &bad) {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errFolder)
	}
	if _, system := bad.Err.(syscall.Errno); !system {
		return true // os.Root refuses the name
	}
	for _, missing := range []error{fs.ErrNotExist, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.EINVAL, syscall.ELOOP, syscall.ENXIO} {
		if errors.Is(err, missing) {
			return true
		}
	}
	return false
}

// toFolder sends the client to the same path with a slash, so that the page's links lead into the
// folder.
func toFolder(w http.ResponseWriter, r *http.Request) {
	u := url.URL{Path: "./" + path.Base(r.URL.Path) + "/", RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", u.String())
	w.WriteHeader(http.StatusMovedPermanently)
}

// send answers with a file. Clients ask again before they use a copy: a build may have replaced it.
func (h *handler) send(w http.ResponseWriter, r *http.Request, f *os.File, info fs.FileInfo) {
	defer f.Close()
	kind, err := typeOf(f, info.Name())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	http.ServeContent(w, r, info.Name(), info.ModTime(), &sending{f, http.NewResponseController(w)})
}

// sending is a file on its way to a client. Each part has its own time, so that a long download has
// enough, and a client that takes nothing doesn't.
type sending struct {
	io.ReadSeeker
	to *http.ResponseController
}

func (s *sending) Read(b []byte) (int, error) {
	_ = s.to.SetWriteDeadline(time.Now().Add(writeTimeout)) // a recorder in a test has none
	return s.ReadSeeker.Read(b)
}

// types has the types that package mime doesn't know on hosts without a table.
var types = map[string]string{
	".ico": "image/x-icon", ".map": "application/json", ".webmanifest": "application/manifest+json", ".txt": "text/plain; charset=utf-8",
	".csv": "text/csv; charset=utf-8", ".md": "text/plain; charset=utf-8", ".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".otf": "font/otf",
	".mp3": "audio/mpeg", ".mp4": "video/mp4", ".webm": "video/webm", ".zip": "application/zip", ".gz": "application/gzip",
}

// typeOf returns the type of a file by its extension, or else by its beginning, which never makes
// it HTML.
func typeOf(f *os.File, name string) (string, error) {
	ext := strings.ToLower(path.Ext(name))
	if kind := types[ext]; kind != "" {
		return kind, nil
	}
	if kind := mime.TypeByExtension(ext); kind != "" {
		return kind, nil
	}
	var head [512]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	kind := http.DetectContentType(head[:n])
	if strings.HasPrefix(kind, "text/") {
		kind = "text/plain; charset=utf-8"
	}
	return kind, nil
}

// maxNotFound bounds the page that the folder may have for unknown paths.
const maxNotFound = 1 << 20

// missing answers with the folder's 404.html.
func (h *handler) missing(w http.ResponseWriter, r *http.Request, root *os.Root) {
	page := []byte("404 Not Found")
	if f, _, err := open(root, "404.html"); err == nil {
		if own, err := io.ReadAll(io.LimitReader(f, maxNotFound)); err == nil {
			page = own
		}
		f.Close()
	}
	plain(w, http.StatusNotFound, string(page))
}

// fail answers a request that this host can't fulfil.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if now := time.Now().Unix(); h.logged.Swap(now) != now {
		h.log.Error("request failed", "path", r.URL.Path, "error", err)
	}
	plain(w, http.StatusInternalServerError, "500 Internal Server Error")
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text) // the client has gone
}
