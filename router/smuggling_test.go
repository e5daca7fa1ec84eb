package router

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// mirror notes the requests that a server reads.
type mirror struct {
	mu   sync.Mutex
	seen []string
}

func (m *mirror) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return // not a whole request
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, fmt.Sprintf("%s %s %s %q", r.Method, r.RequestURI, r.Host, b))
}

func (m *mirror) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := m.seen
	m.seen = nil
	return seen
}

// sendAll sends bytes and waits until everything that came of them is answered.
func sendAll(t *testing.T, addr, raw string) {
	t.Helper()
	c := dialTo(t, addr)
	defer c.Close()
	c.send("%s", raw)
	c.CloseWrite()
	io.Copy(io.Discard, c.br)
}

// What a router passes on is what net/http would have read by itself, request for request; what it would not vouch for ends
// the connection.
func TestSmuggling(t *testing.T) {
	var direct, behind mirror
	ln := loopback(t)
	alone := &http.Server{Handler: &direct}
	done := make(chan struct{})
	go func() {
		defer close(done)
		alone.Serve(ln)
	}()
	defer func() {
		alone.Close()
		<-done
	}()
	h, _ := one(t, 1, nil)
	h.workers["wka0"].becomes(behind.ServeHTTP)
	forwarded := 0
	for name, raw := range testkit.Smuggled() {
		sendAll(t, ln.Addr().String(), raw)
		sendAll(t, h.addr, raw)
		want, got := direct.take(), behind.take()
		if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Errorf("%s: the worker read %q, alone it reads %q", name, got, want)
		}
		for _, r := range got {
			if strings.Contains(r[:min(len(r), 20)], "/smuggled ") {
				t.Errorf("%s: smuggled", name)
			}
		}
		forwarded += len(got)
	}
	if forwarded < 15 { // the odd forms that are good HTTP
		t.Errorf("%d requests got through", forwarded)
	}
}
