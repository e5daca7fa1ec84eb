package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/internal/apikey"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// pipes is a listener within the process, for tests with a clock of their own.
type pipes struct {
	conns chan net.Conn
	end   func()
	ended chan struct{}
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}
	p.end = sync.OnceFunc(func() { close(p.ended) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.end(); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Net: "pipe"} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

const places = 8

// inBubble runs an API on pipes, with so many places and without a Redis.
func inBubble(t *testing.T, test func(t *testing.T, l *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := cluster.NewHub()
		if _, err := hub.Open(crowd{"/", 1}); err != nil {
			t.Fatal(err)
		}
		keys, err := apikey.Parse("shop=" + shopKey)
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Config{Keys: keys, App: "chat", Redis: &store{}, Cluster: hub, MaxConnections: places})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		l, ended := newPipes(), make(chan error, 1)
		go func() { ended <- s.Run(ctx, l) }()
		test(t, l)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func head(path string, length int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", path, shopKey, length)
}

// TestActionsTakeNoTimeOfTheBody: while the lines of a batch wait for answers, the time in which the
// client must send its body stands still, and it is over once all is there.
func TestActionsTakeNoTimeOfTheBody(t *testing.T) {
	const silent, load = `{"op":"server-event","event":"silent","timeout":15000}` + "\n", `{"op":"server-event","event":"load","timeout":1000}` + "\n"
	filler := strings.Repeat(load, chunkLines-1)
	for name, body := range map[string]string{
		"the first":              silent + filler + strings.Repeat(load, 2000),
		"the last":               load + silent,
		"the first and the last": silent + filler + strings.Repeat(load, 2000) + silent,
		"many":                   strings.Repeat(silent, 4),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, l *pipes) {
				client := l.dial()
				begun := time.Now()
				var sending sync.WaitGroup
				sending.Go(func() { _, _ = io.WriteString(client, head("/v1/batch", len(body))+body) }) // the answer tells
				resp, err := http.ReadResponse(bufio.NewReader(client), nil)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Error(err)
				}
				lines := strings.Count(body, "\n")
				if got := strings.Count(string(text), `"status":200`); resp.StatusCode != http.StatusOK || got != lines {
					t.Errorf("%d, and %d of %d lines are answered; the last with %s", resp.StatusCode, got, lines, text[max(0, len(text)-300):])
				}
				if took, want := time.Since(begun), time.Duration(strings.Count(body, silent))*15*time.Second; took != want {
					t.Errorf("it took %v, want %v", took, want)
				}
				_ = client.Close() // it has been read
				sending.Wait()
			})
		})
	}
}

// TestSlowBodyOfABatch: the client itself has its time once, however it spreads it.
func TestSlowBodyOfABatch(t *testing.T) {
	inBubble(t, func(t *testing.T, l *pipes) {
		client := l.dial()
		begun := time.Now()
		var sending sync.WaitGroup
		sending.Go(func() {
			_, err := io.WriteString(client, head("/v1/batch", 1<<20))
			for err == nil {
				time.Sleep(time.Second)
				_, err = io.WriteString(client, `{"op":"server-event","event":"load","timeout":1000}`+"\n")
			}
		})
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(text), "too-slow") {
			t.Errorf("%s, %v", text, err)
		}
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("it had %v", took)
		}
		_ = client.Close() // it has been read
		sending.Wait()
	})
}
