package directory

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// sidCommands counts the commands that a Redis gets about some keys, by command.
type sidCommands struct {
	mu     sync.Mutex
	counts map[string]int
}

func countSidCommands(m *miniredis.Miniredis) *sidCommands { return countCommands(m, ":sid:") }

func countCommands(m *miniredis.Miniredis, about ...string) *sidCommands {
	c := &sidCommands{counts: make(map[string]int)}
	m.Server().SetPreHook(func(_ *server.Peer, command string, args ...string) bool {
		if slices.ContainsFunc(args, func(a string) bool {
			return slices.ContainsFunc(about, func(part string) bool { return strings.Contains(a, part) })
		}) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.counts[strings.ToUpper(command)]++
		}
		return false
	})
	return c
}

func (c *sidCommands) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	c.counts = make(map[string]int)
	return counts
}

func (c *sidCommands) expect(t *testing.T, what string, want map[string]int) {
	t.Helper()
	got := c.take()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for command, n := range want {
		if got[command] != n {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
}

// A session costs a router one command each third of its TTL, 30 s as a rule, however many requests
// it makes there: the third is held by TestRenewalIsDueOncePerThirdOfTheTTL, that nothing else is
// asked or written by this test.
func TestSessionsInUseCostNoCommands(t *testing.T) {
	m, url := mini(t)
	a, b := node(t, url), node(t, url)
	reg, _ := join(t, a, Worker{Tags: true}, a, b)
	commands := countSidCommands(m)
	use := func(d *Directory, sid string) {
		for range 500 { // the start and the end of a request
			if o := d.Owner(t.Context(), sid); o.WorkerID != reg.ID() {
				t.Fatalf("%+v", o)
			}
			d.Touch(sid)
			d.Touch(sid)
		}
	}
	var sids []string
	for range 20 {
		sid := MintSID(reg.ID())
		sids = append(sids, sid)
		a.Learn(t.Context(), sid, reg.ID(), EntryTTL(25*time.Second, 20*time.Second))
		use(a, sid)
	}
	settle(a)
	commands.expect(t, "sessions that begin here", map[string]int{"SET": len(sids) + 1}) // and one to settle
	for _, sid := range sids {
		use(b, sid)
	}
	commands.expect(t, "at another router", map[string]int{"GET": len(sids), "PTTL": len(sids)})
	for _, sid := range sids {
		use(a, sid)
		use(b, sid)
	}
	commands.expect(t, "afterwards", map[string]int{})
}
