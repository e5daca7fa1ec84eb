package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestStrangersKeepNoPlace: connections of those without a key end with their answer, or without a
// whole request after headTimeout or BodyTimeout. A client with a key then finds a place, and keeps
// it.
func TestStrangersKeepNoPlace(t *testing.T) {
	for name, request := range map[string]string{
		"a wrong key":      "GET /v1/sockets HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n\r\n",
		"what is open":     "GET " + openAPIPath + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a foreign host":   "GET /v1/sockets HTTP/1.1\r\nHost: example.com\r\n\r\n",
		"no such path":     "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"no request":       "GET / HTTP/1.1\r\nHost: local",
		"a body to follow": "POST /v1/emit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
		"nothing":          "",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, l *pipes) {
				for range places { // each reads what it gets, and doesn't leave by itself
					c := l.dial()
					defer c.Close()
					go func() {
						_, _ = io.WriteString(c, request) // the API may have closed the connection
						_, _ = io.Copy(io.Discard, c)
					}()
				}
				time.Sleep(11 * time.Second) // of the bubble
				synctest.Wait()
				known := l.dial()
				defer known.Close()
				answers := bufio.NewReader(known)
				for range 3 {
					if _, err := fmt.Fprintf(known, "GET /v1/rooms HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", shopKey); err != nil {
						t.Fatal(err)
					}
					resp, err := http.ReadResponse(answers, nil)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK || resp.Close {
						t.Errorf("%s, close: %t, %v", resp.Status, resp.Close, err)
					}
					time.Sleep(idleTimeout - time.Second)
				}
			})
		})
	}
}
