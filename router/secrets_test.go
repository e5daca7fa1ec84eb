package router

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
)

// rotation is a Static with secrets of its own: one router's view while they change.
type rotation struct {
	*directory.Static
	mu      sync.Mutex // guards the rest
	secrets []string
	next    string // that Redis has, and this router hears of when it asks
}

func (k *rotation) Secret(context.Context) (string, error) { return k.Secrets()[0], nil }

func (k *rotation) Secrets() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.secrets)
}

func (k *rotation) Accepts(_ context.Context, shown string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Contains(k.secrets, shown) && k.next != "" {
		k.secrets, k.next = append([]string{k.next}, k.secrets...), ""
	}
	return slices.Contains(k.secrets, shown)
}

// TestRoutersUnderstandEachOtherWhileTheSecretChanges: in whatever order they hear of another
// secret, no request between hosts is refused for it.
func TestRoutersUnderstandEachOtherWhileTheSecretChanges(t *testing.T) {
	type view struct {
		secrets []string
		next    string
	}
	for name, c := range map[string]struct{ asks, door view }{
		"the one that asks has heard of it":          {view{[]string{"new", "old"}, ""}, view{[]string{"old"}, "new"}},
		"the one that asks is new":                   {view{[]string{"new"}, ""}, view{[]string{"old"}, "new"}},
		"the door has heard of it":                   {view{[]string{"old"}, "new"}, view{[]string{"new", "old"}, ""}},
		"the door can't ask, or is an older version": {view{[]string{"newest", "new", "old"}, ""}, view{[]string{"old"}, ""}},
	} {
		for _, over := range []string{"plain", "TLS"} {
			t.Run(fmt.Sprint(name, ", ", over), func(t *testing.T) {
				d, turn := directory.NewStatic(), 0
				hosts := cluster(t, d, func(cfg *Config) {
					v := [...]view{c.asks, c.door}[turn]
					cfg.Directory = &rotation{Static: d, secrets: slices.Clone(v.secrets), next: v.next}
					if turn++; over == "TLS" {
						secured(t)(cfg)
					}
				}, 1, 1)
				if over == "TLS" {
					behindDoors(d)
				}
				sid := hosts[1].workers["wkb0"].open()
				for range 3 {
					cl := dialTo(t, hosts[0].addr)
					if over == "TLS" {
						cl = secureTo(t, hosts[0].addr, "x")
					}
					cl.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", sid)
					if resp, body := cl.answer("POST"); body != "ok" {
						t.Fatal(resp.Status, body)
					}
				}
			})
		}
	}
}
