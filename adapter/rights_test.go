package adapter

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// everyForm makes a Redis of each form for which docs/adapters.md has rights, by the row there.
var everyForm = map[string]func(Config) (*Redis, error){
	"`redis`":                              NewRedis,
	"`redis-sharded`":                      func(c Config) (*Redis, error) { return NewSharded(ShardedConfig{Config: c}) },
	"`redis-streams`":                      func(c Config) (*Redis, error) { return NewStreams(StreamsConfig{Config: c}) },
	"`redis-streams`, `SIDEREAL_RECOVERY`": func(c Config) (*Redis, error) { return NewStreams(StreamsConfig{Config: c}) },
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

func check(t *testing.T, newForm func(Config) (*Redis, error), url string, n Needs) []MissingRight {
	t.Helper()
	conn, err := redisconn.Open(redisconn.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r, err := newForm(Config{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	missing, err := r.Check(background(t), n)
	if err != nil {
		t.Fatal(err)
	}
	return missing
}

// TestCheckNamesEachMissingRight: with the rights of docs/adapters.md nothing is missing, and without any single one of them
// something is, which is named. So none of them is too much.
func TestCheckNamesEachMissingRight(t *testing.T) {
	store := testkit.StartRedis(t)
	url := strings.Replace(store.URL(), "://", "://bob:pass@", 1)
	for row, newForm := range everyForm {
		rules, needs := documented(t, row), Needs{Recovery: strings.Contains(row, "RECOVERY")}
		setUser(store, rules)
		for _, m := range check(t, newForm, url, needs) {
			t.Errorf("%s: with all rights %v", row, m)
		}
		for i, rule := range rules {
			if rule == "resetchannels" {
				continue
			}
			setUser(store, append(append([]string{}, rules[:i]...), rules[i+1:]...))
			missing := check(t, newForm, url, needs)
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

// TestCheckOfStreamsBesideShardedPubSub: the rights differ from those of the row, as the page says below it.
func TestCheckOfStreamsBesideShardedPubSub(t *testing.T) {
	store := testkit.StartRedis(t)
	newForm := func(c Config) (*Redis, error) {
		c.Key = "rooms"
		return NewStreams(StreamsConfig{Config: c, StreamName: "orders", StreamCount: 2, SessionKeyPrefix: "s:", UseShardedPubSub: true})
	}
	url := strings.Replace(store.URL(), "://", "://bob:pass@", 1)
	rules := strings.Fields("+ping +publish +subscribe +ssubscribe +sunsubscribe +spublish +pubsub|numsub +pubsub|shardnumsub +xadd +xread +xinfo|stream " +
		"+xrange +eval +get +set +del +pexpire ~orders* ~s:* resetchannels &rooms#/#* &sidereal-peers:rooms")
	setUser(store, rules)
	for _, m := range check(t, newForm, url, Needs{Recovery: true}) {
		t.Error(m)
	}
	for i, rule := range rules {
		setUser(store, append(append([]string{}, rules[:i]...), rules[i+1:]...))
		if missing := check(t, newForm, url, Needs{Recovery: true}); rule != "resetchannels" && len(missing) == 0 {
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

// TestCheckIsNoticedByNobody has servers ask each other without end while rights are tried: one subscriber more would be
// waited for, for an hour.
func TestCheckIsNoticedByNobody(t *testing.T) {
	t.Parallel()
	for row, newForm := range everyForm {
		t.Run(row, func(t *testing.T) {
			store := testkit.StartRedis(t)
			var adapters []cluster.Adapter
			var servers []*server
			var locals []*fakeLocal
			for range 2 {
				r, err := newForm(Config{URL: store.URL(), RequestsTimeout: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				l := newFakeLocal("/", &fakeSocket{id: "s", name: "s", rooms: []string{"a"}})
				s, opened := startRedis(t, r, l)
				servers, adapters, locals = append(servers, s), append(adapters, opened[0]), append(locals, l)
			}
			link(t, servers...)
			keys := store.Do("DBSIZE")
			ctx, stop := context.WithCancel(background(t))
			asked := make(chan error, 1)
			go func() {
				for ctx.Err() == nil {
					if found, err := adapters[0].FetchSockets(context.WithoutCancel(ctx), cluster.Target{}); err != nil || len(found) != 1 {
						asked <- errors.Join(err, errors.New("not one socket"))
						return
					}
				}
				asked <- nil
			}()
			for range 5 {
				if missing := check(t, newForm, store.URL(), Needs{Recovery: true}); len(missing) > 0 {
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
				for _, g := range l.take() {
					if g.payload.JSON != nil {
						t.Errorf("%s was told %s", g.who, g.payload.JSON)
					}
				}
				if rooms := l.sockets[0].rooms; len(rooms) != 2 {
					t.Errorf("a socket is in %q", rooms)
				}
			}
			if n := counter(t, servers[0].metrics.dropped.WithLabelValues(malformed)); n > 0 {
				t.Errorf("%v messages were malformed", n)
			}
		})
	}
}
