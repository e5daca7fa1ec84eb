//go:build e2e

package e2e

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

// visitors ask for a page again and again, each time over a connection of its own.
type visitors struct {
	stop                     chan struct{}
	clients                  sync.WaitGroup
	answered, refused, other atomic.Int64
	last                     atomic.Value // error
}

func startVisitors(t *testing.T, url string, clients int) *visitors {
	l := &visitors{stop: make(chan struct{})}
	c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}
	for range clients {
		l.clients.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
					l.ask(&c, url)
				}
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *visitors) ask(c *http.Client, url string) {
	res, err := c.Get(url)
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if err == nil && res.StatusCode != http.StatusOK {
			err = errors.New(res.Status)
		}
	}
	switch {
	case err == nil:
		l.answered.Add(1)
		return
	case errors.Is(err, syscall.ECONNREFUSED):
		l.refused.Add(1)
	default:
		l.other.Add(1)
	}
	l.last.Store(err)
}

// more waits for so many more answers.
func (l *visitors) more(t *testing.T, n int64) {
	t.Helper()
	want := l.answered.Load() + n
	for end := time.Now().Add(time.Minute); l.answered.Load() < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d answers are missing: %v", want-l.answered.Load(), l.last.Load())
		}
	}
}

func (l *visitors) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.clients.Wait()
}

// TestReplaceRouter: who connects while a router ends, by itself or all at once, and another takes its place, waits for it and
// is answered. What a killed router had in hand is lost, which is one request for each client.
func TestReplaceRouter(t *testing.T) {
	const clients = 4
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 2})
	for _, end := range []struct {
		signal syscall.Signal
		lost   int64
	}{{syscall.SIGTERM, 0}, {syscall.SIGKILL, clients}} {
		l := startVisitors(t, host.URL+"/icon.svg", clients)
		l.more(t, 20)
		pid := host.Child(t, "router").PID
		if pid <= 1 {
			t.Fatalf("the router is %d", pid)
		}
		if err := syscall.Kill(pid, end.signal); err != nil {
			t.Fatal(err)
		}
		harness.AwaitEnd(t, pid)
		l.more(t, 20)
		l.end()
		if l.refused.Load() > 0 || l.other.Load() > end.lost {
			t.Errorf("%v: %d answered, %d refused, %d failed otherwise: %v", end.signal, l.answered.Load(), l.refused.Load(), l.other.Load(), l.last.Load())
		}
	}
}
