//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

// TestAnyEntry: every single request of every session enters at a random router, over keep-alive
// connections that all sessions share, and none of them fails.
func TestAnyEntry(t *testing.T) {
	_, hosts := pair(t)
	shared := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 256}, Timeout: harness.Patience}
	defer shared.CloseIdleConnections()
	const clients, rounds = 100, 30
	g, ctx := errgroup.WithContext(context.Background())
	for i := range clients {
		g.Go(func() error {
			p := &harness.Poller{HTTP: shared, Entries: []string{hosts[0].URL, hosts[1].URL}}
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
			return p.Close(ctx)
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestUpgradeElsewhere: the handshake enters at one host, the upgrade at the other.
func TestUpgradeElsewhere(t *testing.T) {
	_, hosts := pair(t)
	node := harness.StartNode(t)
	balancer := harness.StartBalancer(t, hosts[0].Addr, hosts[1].Addr)
	for i := range 8 { // the owner is at the upgrade's entry for some, elsewhere for others
		name := fmt.Sprint("c", i)
		node.Must("connect", args{"name": name, "url": balancer.URL}, nil)
		if e := node.Next(name, "upgrade"); e.Transport != "websocket" {
			t.Errorf("upgraded to %q", e.Transport)
		}
		var got string
		node.Must("ask", args{"name": name, "event": "echo", "args": []any{"after the upgrade"}}, &got)
		if got != "after the upgrade" {
			t.Errorf("echo says %q", got)
		}
	}
}

// TestUnknownSID: a sid that nobody owns is answered at once, by a worker, with the protocol's
// error.
func TestUnknownSID(t *testing.T) {
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 1})
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	for _, sid := range []string{"nobody-ever-had-this", "AAAAAAAAAAAAAAAAAAAA", "x", "%00"} {
		status, body := harness.Get(ctx, t, host.URL+"/socket.io/?EIO=4&transport=polling&sid="+sid)
		if status != 400 || body != `{"code":1,"message":"Session ID unknown"}` {
			t.Errorf("sid %q: %d %s", sid, status, body)
		}
	}
}
