//go:build e2e

package outage

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestRightsOfTheDocs: the rights that docs/adapters.md gives for a form are enough for everything, on a Redis where all
// else is forbidden.
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
		rules := strings.NewReplacer("<key>", "socket.io", "<namespace>", "/", `\|`, "|").Replace(string(row[1]))
		store := testkit.StartRedis(t)
		admin := redis.NewClient(&redis.Options{Addr: store.Addr()})
		defer admin.Close()
		command := []any{"ACL", "SETUSER", "server", "reset", "on", ">pass"}
		for rule := range strings.FieldsSeq(rules) {
			command = append(command, rule)
		}
		if err := admin.Do(context.Background(), command...).Err(); err != nil {
			t.Fatal(err)
		}
		if err := admin.Do(context.Background(), "ACL", "SETUSER", "default", "resetpass", "-@all", "+ping", "+auth").Err(); err != nil {
			t.Fatal(err)
		}
		url := strings.Replace(store.URL(), "redis://", "redis://server:pass@", 1)
		a, b := join(t, form, "a", url), join(t, form, "b", url)
		ask[bool](b, "join", "crowd") // which changes a session that is kept
		await(t, "b's client to hear its room", func() bool {
			ask[bool](a, "flood", "crowd", 1, 1)
			return b.flooded.Load()
		})
		a.burst(0, 10)
		b.expect(0, 10)
		a.awaitCount(2)
		for _, m := range []*member{a, b} {
			m.Stop(t)
			for _, line := range m.Output.All() {
				if strings.Contains(line, "permissions") || strings.Contains(line, `"level":"error"`) {
					t.Errorf("%s: %s", m.Name, line)
				}
			}
		}
	})
}
