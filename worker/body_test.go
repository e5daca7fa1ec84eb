package worker

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// A body that does not come to its end costs its client the connection: whether nothing comes, a
// byte now and then, or the handler doesn't want it.
func TestBodiesHaveToComeOn(t *testing.T) {
	const timeout = 20 * time.Millisecond
	for name, c := range map[string]struct {
		reads bool
		every time.Duration // between bytes; 0: none come
	}{
		"silent": {true, 0}, "slow": {true, timeout / 10}, "not read": {false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			failed := make(chan error, 1)
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				defer timeBody(rw, r, timeout).leave()
				var err error
				if c.reads {
					_, err = io.ReadAll(r.Body)
				}
				failed <- err
			}))
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx"); err != nil {
				t.Fatal(err)
			}
			if c.every > 0 {
				go func() {
					tick := time.NewTicker(c.every)
					defer tick.Stop()
					for range tick.C {
						if _, err := conn.Write([]byte("x")); err != nil {
							return
						}
					}
				}()
			}
			if err := testkit.Receive(t, "the end of the body", failed); c.reads == (err == nil) {
				t.Errorf("read: %v", err)
			}
			conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); err != nil {
				if ne, ok := err.(net.Error); ok && ne.Timeout() {
					t.Error("the connection is still open")
				}
			}
		})
	}
}

// A request whose body has come may take as long as it wants.
func TestDeadlineEndsWithTheBody(t *testing.T) {
	const timeout = 20 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer timeBody(rw, r, timeout).leave()
		io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			t.Error("the request has ended: ", r.Context().Err())
		case <-time.After(3 * timeout):
		}
	}))
	defer server.Close()
	res, err := http.Post(server.URL, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}
