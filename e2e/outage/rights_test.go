//go:build e2e

package outage

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestRightsOfTheDocs: the rights that docs/adapters.md gives for a form are enough for everything,
// on a Redis where all else is forbidden, and each command among them is used.
func TestRightsOfTheDocs(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(harness.Root(), "docs", "adapters.md"))
	if err != nil {
		t.Fatal(err)
	}
	inEveryForm(t, func(t *testing.T, form string) {
		named := "`" + form + "`"
		if form == recovering {
			named = "`redis-streams`, `SIDEREAL_RECOVERY`"
		}
		row := regexp.MustCompile("(?m)^\\| " + named + " \\| `([^`|]+(?:\\\\\\|[^`|]+)*)` \\|$").FindSubmatch(page)
		if row == nil {
			t.Fatalf("docs/adapters.md has no rights for %s", form)
		}
		rules := strings.NewReplacer("<key>", "socket.io", `\|`, "|").Replace(string(row[1]))
		store := testkit.StartRedis(t)
		admin := redis.NewClient(&redis.Options{Addr: store.Addr()})
		defer admin.Close()
		command := []any{"ACL", "SETUSER", "server", "reset", "on", ">pass"}
		for rule := range strings.FieldsSeq(rules) {
			command = append(command, strings.ReplaceAll(rule, "<namespace>", "/"))
			if strings.Contains(rule, "<namespace>") {
				command = append(command, strings.ReplaceAll(rule, "<namespace>", passing))
			}
		}
		if err := admin.Do(context.Background(), command...).Err(); err != nil {
			t.Fatal(err)
		}
		if err := admin.Do(context.Background(), "ACL", "SETUSER", "default", "resetpass", "-@all", "+ping", "+auth", "+info").Err(); err != nil {
			t.Fatal(err)
		}
		url := strings.Replace(store.URL(), "redis://", "redis://server:pass@", 1)
		a, b := join(t, form, "a", url), join(t, form, "b", url)
		ask[bool](b, "join", "crowd") // which changes a session that is kept
		testkit.Until(t, "b's client to hear its room", func() bool {
			ask[bool](a, "flood", "crowd", 1, 1)
			return b.flooded.Load()
		})
		if _, streams := forms[form].(adapter.Streams); streams {
			ask[bool](a, "flood", "nobody", 10, streamBytes/8) // the stream is trimmed
		}
		a.burst(0, 10)
		b.expect(0, 10)
		a.awaitCount(2)
		ask[bool](b, "leave", "crowd")
		visit := a.client.Of(passing)
		if err := visit.Connect(patience(t)); err != nil {
			t.Fatal(err)
		}
		visit.Disconnect()
		servers := []*member{a, b}
		if form == recovering {
			servers = append(servers, comeBackElsewhere(t, a, form, url))
		}
		var left []string
		t.Cleanup(func() {
			if len(left) > 0 {
				t.Errorf("not used: %q", left)
			}
		})
		testkit.Until(t, "all commands to be used", func() bool {
			left = unused(t, admin, rules)
			return len(left) == 0
		})
		for _, m := range servers {
			m.Stop(t)
			for _, line := range m.Output.All() {
				if strings.Contains(line, "permissions") || strings.Contains(line, `"level":"error"`) {
					t.Errorf("%s: %s", m.Name, line)
				}
			}
		}
	})
}

// unused are the commands among rules that Redis has carried out for nobody.
func unused(t *testing.T, admin *redis.Client, rules string) (commands []string) {
	t.Helper()
	stats, err := admin.Info(context.Background(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for rule := range strings.FieldsSeq(rules) {
		if name, is := strings.CutPrefix(rule, "+"); is && !strings.Contains(stats, "cmdstat_"+name+":") {
			commands = append(commands, name)
		}
	}
	return commands
}

// comeBackElsewhere has a client of m lose it, and recover at a server that has not read what the
// client had. It returns that server.
func comeBackElsewhere(t *testing.T, m *member, form, url string) *member {
	t.Helper()
	var entry atomic.Pointer[string] // host:port
	enter := func(url string) {
		addr := strings.TrimPrefix(url, "http://")
		entry.Store(&addr)
	}
	enter(m.url)
	conns := make(chan net.Conn, 1)
	c, err := client.New(client.Config{
		URL: "http://entry", Transports: []string{client.WebSocket}, ReconnectionDelay: 50 * time.Millisecond,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, *entry.Load())
			if err == nil {
				select {
				case conns <- conn:
				default:
				}
			}
			return conn, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io := c.Of("/")
	told, back := make(chan int, 8), make(chan struct{}, 1)
	io.On("said", func(n int) { told <- n })
	if err := io.Connect(patience(t)); err != nil {
		t.Fatal(err)
	}
	m.burst(20, 21)
	if n := <-told; n != 20 {
		t.Errorf("it was told %d, want 20", n)
	}
	io.OnConnect(func() {
		select {
		case back <- struct{}{}:
		default:
		}
	})
	enter("http://127.0.0.1:1")
	(<-conns).Close()
	m.burst(21, 23) // c begins behind it
	elsewhere := join(t, form, "c", url)
	enter(elsewhere.url)
	select {
	case <-back:
	case <-patience(t).Done():
		t.Fatal("the client did not come back")
	}
	if !io.Recovered() {
		t.Error("the client is not recovered")
	}
	for want := 21; want < 23; want++ {
		if n := <-told; n != want {
			t.Errorf("it was told %d, want %d", n, want)
		}
	}
	return elsewhere
}
