//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

// forgetful is a proxy that numbers a session's requests as official clients do, sends each to one
// host, loses the answer and asks the other host again.
type forgetful struct {
	hosts [2]*harness.Host
	asked atomic.Int64
}

func (f *forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	n := f.asked.Add(1)
	query := r.URL.RawQuery + fmt.Sprintf("&t=n%d", n)
	if !r.URL.Query().Has("sid") {
		return f.send(r, int(n)%2, query)
	}
	lost, err := f.send(r, int(n)%2, query)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, lost.Body)
	lost.Body.Close()
	if err != nil || lost.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the first copy: %s, %w", lost.Status, err)
	}
	return f.send(r, int(n+1)%2, query)
}

func (f *forgetful) send(r *http.Request, host int, query string) (*http.Response, error) {
	copied := r.Clone(r.Context())
	copied.URL.Host = f.hosts[host].Addr
	copied.URL.RawQuery = query
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		copied.Body = body
	}
	return http.DefaultTransport.RoundTrip(copied)
}

// TestRepeatedRequests: every answer is lost on its way to the client, and the proxy asks another
// router. No event is lost, none comes twice, and none is handled twice.
func TestRepeatedRequests(t *testing.T) {
	_, hosts := pair(t)
	proxy := &forgetful{hosts: hosts}
	const clients, rounds = 20, 20
	g, ctx := errgroup.WithContext(context.Background())
	for i := range clients {
		g.Go(func() error {
			p := &harness.Poller{HTTP: &http.Client{Transport: proxy, Timeout: harness.Patience}, Entries: []string{hosts[0].URL}}
			if err := p.Open(ctx); err != nil {
				return fmt.Errorf("client %d: %w", i, err)
			}
			for n := range rounds {
				answer, err := p.Ask(ctx, n, "echo", i, n)
				if want := fmt.Sprintf("[%d,%d]", i, n); err == nil && answer != want {
					err = fmt.Errorf("answer %s, want %s", answer, want)
				}
				if err != nil {
					return fmt.Errorf("client %d, round %d: %w", i, n, err)
				}
			}
			p.HTTP = http.DefaultClient
			return p.Close(ctx)
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	events, polls, posts := 0, 0, 0
	for _, h := range hosts {
		for name, value := range h.Metrics() {
			switch {
			case strings.HasPrefix(name, "sidereal_socketio_events_total{") && strings.Contains(name, `direction="in"`):
				events += int(value)
			case strings.HasPrefix(name, "sidereal_engine_repeats_total{") && strings.Contains(name, `method="GET"`):
				polls += int(value)
			case strings.HasPrefix(name, "sidereal_engine_repeats_total{") && strings.Contains(name, `method="POST"`):
				posts += int(value)
			}
		}
	}
	if want := clients * rounds; events != want || posts != want+clients {
		t.Errorf("%d events were handled and %d posts recognised, want %d and %d", events, posts, want, want+clients)
	}
	if polls == 0 {
		t.Error("no poll was recognised")
	}
}
