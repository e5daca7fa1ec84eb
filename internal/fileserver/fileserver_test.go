package fileserver

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// site is a folder with everything that clients may ask for, and more. Beside it are secrets.
func site(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	write(t, top, map[string]string{"secret.txt": "secret", "site-secret/a.txt": "secret", "site/index.html": "<p>home", "site/app.js": "js", "site/a b.txt": "blank",
		"site/guide/index.html": "guide", "site/empty/x.txt": "x", "site/.env": "secret", "site/.git/config": "secret", "site/.well-known/acme": "acme", "site/data": "<html>data",
		"site/other.html": "other", "site/pic.png": "\x89PNG", "site/x/y/app.css": "css"})
	dir := filepath.Join(top, "site")
	for name, target := range map[string]string{"out.txt": "../secret.txt", "abs.txt": filepath.Join(top, "secret.txt"), "outdir": "..", "in.txt": "app.js", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// ask sends a request whose target is just as written.
func ask(t *testing.T, h http.Handler, head string) *http.Response {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\nHost: x\r\n\r\n")))
	if err != nil {
		t.Fatalf("%s: %v", head, err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestPaths(t *testing.T) {
	h := Handler(Config{Folder: site(t), Homepage: "/index.html"}, quiet())
	for target, want := range map[string]string{
		"/": "200 <p>home", "/index.html": "200 <p>home", "/app.js": "200 js", "/app.js?v=1": "200 js", "/a%20b.txt": "200 blank", "/guide/": "200 guide", "/guide": "301 ",
		"/x/../app.js": "200 js", "//app.js": "200 js", "/in.txt": "200 js", "/.well-known/acme": "200 acme", "/guide/index.html": "200 guide", "/x%2fy%2Fapp.css": "200 css",
		"http://other/app.js": "200 js",
		// nothing of these
		"/empty/": "404", "/empty": "404", "/none.txt": "404", "/.env": "404", "/.git/config": "404", "/x/../.env": "404", "/%2eenv": "404", "/guide/%2e%2e/.env": "404",
		"/../secret.txt": "404", "/%2e%2e/secret.txt": "404", "/..%2fsecret.txt": "404", "/%2e%2e%2fsecret.txt": "404", "/..%5csecret.txt": "404",
		"/../site-secret/a.txt": "404", "/out.txt": "404", "/abs.txt": "404", "/outdir/secret.txt": "404", "/outdir/": "404", "/loop": "404", "/pipe": "404",
		"/app.js%00.html": "404", "/app.js/x": "404", "/" + strings.Repeat("a", 5000): "404", "/%ff": "404", "/*": "404", "/.": "200 <p>home", "/..": "200 <p>home", "/...": "404",
	} {
		resp := ask(t, h, "GET "+target+" HTTP/1.1")
		text := body(t, resp)
		if got := fmt.Sprintf("%d %s", resp.StatusCode, text); !strings.HasPrefix(got, want) || strings.Contains(text, "secret") || strings.HasPrefix(want, "200") && got != want {
			t.Errorf("%s: %.80s, want %s", target, got, want)
		}
	}
}

func TestFoldersGetTheirSlash(t *testing.T) {
	dir := site(t)
	write(t, dir, map[string]string{"java:script/index.html": "x"})
	h := Handler(Config{Folder: dir, Homepage: "/index.html"}, quiet())
	for target, want := range map[string]string{
		"/guide?a=b": "./guide/?a=b", "//guide": "./guide/", "/java:script": "./java:script/", "/x/../guide": "./guide/",
	} {
		if got := ask(t, h, "GET "+target+" HTTP/1.1").Header.Get("Location"); got != want {
			t.Errorf("%s: to %s, want %s", target, got, want)
		}
	}
}

func TestSinglePageApp(t *testing.T) {
	dir := site(t)
	h := Handler(Config{Folder: dir, Homepage: "/other.html", SPA: true}, quiet())
	for target, want := range map[string]string{
		"/": "other", "/shop/7": "other", "/shop/app.js": "js", "/.env": "other", "/shop/.env": "other", "/out.txt": "other", "/empty/": "other", "/a/guide": "guide",
	} {
		resp := ask(t, h, "GET "+target+" HTTP/1.1")
		if got := body(t, resp); want != "guide" && got != want || want == "guide" && resp.StatusCode != 301 {
			t.Errorf("%s: %d %s, want %s", target, resp.StatusCode, got, want)
		}
	}
	if err := os.Remove(filepath.Join(dir, "other.html")); err != nil {
		t.Fatal(err)
	}
	if resp := ask(t, h, "GET /shop HTTP/1.1"); resp.StatusCode != 404 {
		t.Errorf("without a homepage: %d", resp.StatusCode)
	}
}

func TestNotFoundPage(t *testing.T) {
	dir := site(t)
	h := Handler(Config{Folder: dir, Homepage: "/index.html"}, quiet())
	if got := body(t, ask(t, h, "GET /none HTTP/1.1")); got != "404 Not Found" {
		t.Errorf("%q", got)
	}
	write(t, dir, map[string]string{"404.html": "lost?"})
	resp := ask(t, h, "GET /none HTTP/1.1")
	if got := body(t, resp); got != "lost?" || resp.StatusCode != 404 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
}

// A deployment replaces the folder, or the link to it.
func TestFolderIsReplaced(t *testing.T) {
	top := t.TempDir()
	write(t, top, map[string]string{"one/index.html": "one", "two/index.html": "two"})
	current := filepath.Join(top, "current")
	h := Handler(Config{Folder: current, Homepage: "/index.html"}, quiet())
	if got := ask(t, h, "GET / HTTP/1.1").StatusCode; got != 500 {
		t.Errorf("without the folder: %d", got)
	}
	for _, want := range []string{"one", "two"} {
		_ = os.Remove(current) // the first one isn't there
		if err := os.Symlink(want, current); err != nil {
			t.Fatal(err)
		}
		if got := body(t, ask(t, h, "GET / HTTP/1.1")); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMethodsAndHeaders(t *testing.T) {
	dir := site(t)
	h := Handler(Config{Folder: dir, Homepage: "/index.html"}, quiet())
	resp := ask(t, h, "HEAD /app.js HTTP/1.1")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Length") != "2" || body(t, resp) != "" {
		t.Errorf("HEAD: %d, %v", resp.StatusCode, resp.Header)
	}
	resp = ask(t, h, "GET /app.js HTTP/1.1\r\nRange: bytes=1-")
	if resp.StatusCode != 206 || body(t, resp) != "s" || resp.Header.Get("Content-Range") != "bytes 1-1/2" {
		t.Errorf("Range: %d, %v", resp.StatusCode, resp.Header)
	}
	if resp = ask(t, h, "GET /app.js HTTP/1.1\r\nRange: bytes=7-"); resp.StatusCode != 416 {
		t.Errorf("a range behind the end: %d", resp.StatusCode)
	}
	tag := ask(t, h, "GET /app.js HTTP/1.1").Header.Get("ETag")
	if resp = ask(t, h, "GET /app.js HTTP/1.1\r\nIf-None-Match: "+tag); resp.StatusCode != 304 {
		t.Errorf("the same file: %d", resp.StatusCode)
	}
	write(t, dir, map[string]string{"app.js": "newer"})
	if resp = ask(t, h, "GET /app.js HTTP/1.1\r\nIf-None-Match: "+tag); resp.StatusCode != 200 {
		t.Errorf("another file: %d", resp.StatusCode)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PROPFIND"} {
		if resp = ask(t, h, method+" /app.js HTTP/1.1"); resp.StatusCode != 405 {
			t.Errorf("%s: %d", method, resp.StatusCode)
		}
	}
	if resp = ask(t, h, "OPTIONS /app.js HTTP/1.1"); resp.StatusCode != 204 || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("OPTIONS: %d, %v", resp.StatusCode, resp.Header)
	}
	for target, want := range map[string]string{"/": "text/html", "/app.js": "text/javascript", "/pic.png": "image/png", "/data": "text/plain", "/in.txt": "text/plain"} {
		resp := ask(t, h, "GET "+target+" HTTP/1.1")
		if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, want) || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

func TestBasicAuthentication(t *testing.T) {
	h := Handler(Config{Folder: site(t), Homepage: "/index.html", Username: "ann", Password: "a:b"}, quiet())
	for header, want := range map[string]int{
		"Basic YW5uOmE6Yg==": 200, "basic YW5uOmE6Yg==": 200, // ann:a:b
		"": 401, "Basic": 401, "Basic !": 401, "Bearer YW5uOmE6Yg==": 401, "Basic YW5uOmE=": 401, "Basic OmE6Yg==": 401, "Basic YW5u": 401, "Basic Og==": 401,
	} {
		head := "GET / HTTP/1.1"
		if header != "" {
			head += "\r\nAuthorization: " + header
		}
		resp := ask(t, h, head)
		if resp.StatusCode != want || want == 401 && (resp.Header.Get("WWW-Authenticate") == "" || strings.Contains(body(t, resp), "home")) {
			t.Errorf("%q: %d, want %d", header, resp.StatusCode, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		want Config
		err  string
	}{
		"defaults":  {nil, nil, Config{Folder: cwd(t), Host: "0.0.0.0", Port: 8080, Homepage: "/index.html"}, ""},
		"arguments": {nil, []string{"/a", "3000", "::1"}, Config{Folder: "/a", Host: "::1", Port: 3000, Homepage: "/index.html"}, ""},
		"variables win": {map[string]string{"PM2_SERVE_PATH": "/b", "PM2_SERVE_PORT": "9", "PM2_SERVE_HOST": "127.0.0.1", "PM2_SERVE_SPA": "true", "PM2_SERVE_HOMEPAGE": "/x.html", "instances": "2"},
			[]string{"/a", "3000"}, Config{Folder: "/b", Host: "127.0.0.1", Port: 9, Homepage: "/x.html", SPA: true, Shared: true}, ""},
		"no number":   {map[string]string{"PM2_SERVE_PORT": "x"}, nil, Config{Folder: cwd(t), Host: "0.0.0.0", Port: 8080, Homepage: "/index.html"}, ""},
		"no port":     {map[string]string{"PM2_SERVE_PORT": "70000"}, nil, Config{}, "between 1 and 65535"},
		"no password": {map[string]string{"PM2_SERVE_BASIC_AUTH": "true", "PM2_SERVE_BASIC_AUTH_USERNAME": "ann"}, nil, Config{}, "PM2_SERVE_BASIC_AUTH_PASSWORD"},
		"password": {map[string]string{"PM2_SERVE_BASIC_AUTH": "true", "PM2_SERVE_BASIC_AUTH_USERNAME": "ann", "PM2_SERVE_BASIC_AUTH_PASSWORD": "x"}, nil,
			Config{Folder: cwd(t), Host: "0.0.0.0", Port: 8080, Homepage: "/index.html", Username: "ann", Password: "x"}, ""},
		"auth off": {map[string]string{"PM2_SERVE_BASIC_AUTH": "false", "PM2_SERVE_BASIC_AUTH_USERNAME": "ann"}, nil, Config{Folder: cwd(t), Host: "0.0.0.0", Port: 8080, Homepage: "/index.html"}, ""},
	} {
		got, err := FromEnv(func(name string) string { return c.env[name] }, c.args)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func cwd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// An answer that has begun reaches its client; then the server ends.
func TestStopFinishesAnswers(t *testing.T) {
	dir := t.TempDir()
	large := bytes.Repeat([]byte("x"), 32<<20) // more than the kernel takes
	write(t, dir, map[string]string{"large.bin": string(large)})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	listening, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{Folder: dir, Host: "127.0.0.1", Homepage: "/index.html", Shared: true}, out, quiet())
	}()
	line, err := bufio.NewReader(listening).ReadString('\n')
	addr, ok := strings.CutPrefix(line, "Exposing "+dir+" directory on ")
	if err != nil || !ok {
		t.Fatalf("%q, %v", line, err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + strings.TrimSpace(addr) + "/large.bin")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stop()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(large)) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
