package adapter

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// everyForm has each form for which docs/adapters.md has rights, by the row there.
var everyForm = map[string]Form{
	"`redis`":                              Classic{},
	"`redis-sharded`":                      Sharded{},
	"`redis-streams`":                      Streams{},
	"`redis-streams`, `SIDEREAL_RECOVERY`": Streams{},
}

// documented are the rights of a row of docs/adapters.md, for the main namespace.
func documented(t *testing.T, row string) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/adapters.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?m)^\\| " + regexp.QuoteMeta(row) + " \\| `([^`|]+(?:\\\\\\|[^`|]+)*)` \\|$").FindSubmatch(page)
	if found == nil {
		t.Fatalf("docs/adapters.md has no rights for %s", row)
	}
	return strings.Fields(strings.NewReplacer("<key>", "socket.io", "<namespace>", "/", `\|`, "|").Replace(string(found[1])))
}

// setUser gives the user bob these rights and no other.
func setUser(store *testkit.Redis, rules []string) {
	command := []any{"ACL", "SETUSER", "bob", "reset", "on", ">pass"}
	for _, rule := range rules {
		command = append(command, rule)
	}
	store.Do(command...)
}

func check(t *testing.T, cfg Config, n Needs) []MissingRight {
	t.Helper()
	conn, err := sidereal.OpenRedis(cfg.Redis, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cfg.Conn = conn
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	missing, err := r.Check(linktest.Background(t), n)
	if err != nil {
		t.Fatal(err)
	}
	return missing
}

// TestCheckNamesEachMissingRight: with the rights of docs/adapters.md nothing is missing, and
// without any single one of them something is, which is named. So none of them is too much.
func TestCheckNamesEachMissingRight(t *testing.T) {
	store := testkit.StartRedis(t)
	url := strings.Replace(store.URL(), "://", "://bob:pass@", 1)
	for row, form := range everyForm {
		cfg := on(url)
		cfg.Form = form
		rules, needs := documented(t, row), Needs{Recovery: strings.Contains(row, "RECOVERY")}
		setUser(store, rules)
		for _, m := range check(t, cfg, needs) {
			t.Errorf("%s: with all rights %v", row, m)
		}
		for i, rule := range rules {
			if rule == "resetchannels" {
				continue
			}
			setUser(store, append(append([]string{}, rules[:i]...), rules[i+1:]...))
			missing := check(t, cfg, needs)
			if len(missing) == 0 {
				t.Errorf("%s: nothing is missing without %s", row, rule)
			}
			for _, m := range missing {
				if !errors.Is(m, redisconn.ErrRights) || !names(m.Command, rule) {
					t.Errorf("%s: without %s: %v", row, rule, m)
				}
			}
		}
	}
}

// TestCheckOfStreamsBesideShardedPubSub: the rights differ from those of the row, as the page says
// below it.
func TestCheckOfStreamsBesideShardedPubSub(t *testing.T) {
	store := testkit.StartRedis(t)
	url := strings.Replace(store.URL(), "://", "://bob:pass@", 1)
	cfg := on(url)
	cfg.Key, cfg.Form = "rooms", Streams{StreamName: "orders", StreamCount: 2, SessionKeyPrefix: "s:", UseShardedPubSub: true}
	rules := strings.Fields("+ping +publish +subscribe +ssubscribe +sunsubscribe +spublish +pubsub|numsub +pubsub|shardnumsub +xadd +xread +xtrim +xinfo|stream " +
		"+xrange +eval +get +set +del +pexpire ~orders* ~s:* resetchannels &rooms#/#* &sidereal-peers:rooms")
	setUser(store, rules)
	for _, m := range check(t, cfg, Needs{Recovery: true}) {
		t.Error(m)
	}
	for i, rule := range rules {
		setUser(store, append(append([]string{}, rules[:i]...), rules[i+1:]...))
		if missing := check(t, cfg, Needs{Recovery: true}); rule != "resetchannels" && len(missing) == 0 {
			t.Errorf("nothing is missing without %s", rule)
		}
	}
}

// names tells whether a command that was forbidden for want of a rule shows which.
func names(command, rule string) bool {
	what := strings.TrimSuffix(rule[1:], "*")
	if rule[0] == '+' {
		return strings.HasPrefix(command+" ", strings.ToUpper(strings.ReplaceAll(what, "|", " "))+" ")
	}
	return strings.Contains(command, " "+what)
}

// TestCheckIsNoticedByNobody has servers ask each other without end while rights are tried: one
// subscriber more would be waited for, for an hour.
func TestCheckIsNoticedByNobody(t *testing.T) {
	t.Parallel()
	for row, form := range everyForm {
		t.Run(row, func(t *testing.T) {
			store := testkit.StartRedis(t)
			cfg := on(store.URL())
			cfg.Form, cfg.RequestsTimeout = form, time.Hour
			var adapters []cluster.Adapter
			var servers []*server
			var locals []*linktest.Local
			for range 2 {
				l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s", Rooms: []string{"a"}})
				s, opened := start(t, cfg, l)
				servers, adapters, locals = append(servers, s), append(adapters, opened[0]), append(locals, l)
			}
			linktest.Meet(t, servers...)
			keys := store.Do("DBSIZE")
			ctx, stop := context.WithCancel(linktest.Background(t))
			asked := make(chan error, 1)
			go func() {
				for ctx.Err() == nil {
					if found, err := linktest.Fetch(context.WithoutCancel(ctx), adapters[0], cluster.Target{}); err != nil || len(found) != 1 {
						asked <- errors.Join(err, errors.New("not one socket"))
						return
					}
				}
				asked <- nil
			}()
			for range 5 {
				if missing := check(t, cfg, Needs{Recovery: true}); len(missing) > 0 {
					t.Error(missing)
				}
			}
			stop()
			if err := <-asked; err != nil {
				t.Error(err)
			}
			if after := store.Do("DBSIZE"); after != keys {
				t.Errorf("%v keys, where there were %v", after, keys)
			}
			for _, l := range locals {
				for _, g := range l.Take() {
					if g.Payload.JSON != nil {
						t.Errorf("%s was told %s", g.Who, g.Payload.JSON)
					}
				}
				if rooms := l.Sockets[0].Rooms; len(rooms) != 2 {
					t.Errorf("a socket is in %q", rooms)
				}
			}
			if n := servers[0].dropped(t, "malformed"); n > 0 {
				t.Errorf("%v messages were malformed", n)
			}
		})
	}
}
