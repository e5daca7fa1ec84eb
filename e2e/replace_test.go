//go:build e2e

package e2e

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
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
	defer func() {
		if missing := want - l.answered.Load(); missing > 0 {
			t.Logf("%d answers are missing: %v", missing, l.last.Load())
		}
	}()
	testkit.Until(t, "more answers", func() bool { return l.answered.Load() >= want })
}

func (l *visitors) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.clients.Wait()
}

// TestReplaceRouter: who connects while a router ends, by itself or all at once, is answered by
// another, and a poll that the old one holds gets its answer. What a killed router had in hand is
// lost, which is one request for each client.
func TestReplaceRouter(t *testing.T) {
	const clients = 4
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 2})
	poll := park(t, host.URL)
	defer poll.do(t, "1")
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
		if end.signal == syscall.SIGTERM {
			l.more(t, 20)
			if got := poll.answer(t); got != `430["still here"]` {
				t.Errorf("the poll got %q", got)
			}
		}
		harness.AwaitEnd(t, pid)
		l.more(t, 20)
		l.end()
		if l.refused.Load() > 0 || l.other.Load() > end.lost {
			t.Errorf("%v: %d answered, %d refused, %d failed otherwise: %v", end.signal, l.answered.Load(), l.refused.Load(), l.other.Load(), l.last.Load())
		}
	}
}

// parked is a session with a poll under way.
type parked struct {
	url    string
	client http.Client
	got    chan string
}

func park(t *testing.T, url string) *parked {
	t.Helper()
	p := &parked{url: url + "/socket.io/?EIO=4&transport=polling", got: make(chan string, 1)}
	p.client = http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
	open := p.do(t, "")
	_, rest, _ := strings.Cut(open, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	p.url += "&sid=" + sid
	p.do(t, "40")
	p.do(t, "")
	go func() { p.got <- p.do(t, "") }()
	return p
}

func (p *parked) do(t *testing.T, body string) string {
	t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequest(method, p.url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return ""
	}
	res, err := p.client.Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// answer has the server say something, and returns what the poll gets.
func (p *parked) answer(t *testing.T) string {
	t.Helper()
	p.do(t, `420["echo","still here"]`)
	select {
	case got := <-p.got:
		return got
	case <-time.After(time.Minute):
		t.Fatal("the poll has no answer")
		return ""
	}
}
