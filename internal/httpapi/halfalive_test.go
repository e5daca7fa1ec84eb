package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// halfAlive are states in which Redis answers, and refuses writes or everything.
var halfAlive = []struct {
	name, word  string // word: what Redis says to a write; without one it says nothing
	begin, mend [][]any
}{
	{"memory full", "OOM", [][]any{{"CONFIG", "SET", "maxmemory", "1"}}, [][]any{{"CONFIG", "SET", "maxmemory", "0"}}},
	{"a replica", "READONLY", [][]any{{"REPLICAOF", "127.0.0.1", "1"}}, [][]any{{"REPLICAOF", "NO", "ONE"}}},
	{"a replica without its master", "MASTERDOWN", [][]any{{"CONFIG", "SET", "replica-serve-stale-data", "no"}, {"REPLICAOF", "127.0.0.1", "1"}}, [][]any{{"REPLICAOF", "NO", "ONE"}}},
	{"too few replicas", "NOREPLICAS", [][]any{{"CONFIG", "SET", "min-replicas-to-write", "1"}}, [][]any{{"CONFIG", "SET", "min-replicas-to-write", "0"}}},
	{"a right is missing", "NOPERM", [][]any{{"ACL", "SETUSER", "default", "-set"}}, [][]any{{"ACL", "SETUSER", "default", "+set"}}},
	{"writes are paused", "", [][]any{{"CLIENT", "PAUSE", "600000", "WRITE"}}, [][]any{{"CLIENT", "UNPAUSE"}}},
}

// TestHalfAliveRedis: no answer claims that an action with an Idempotency-Key was carried out while
// Redis doesn't take the key, and the log has Redis's words. Repeated afterwards, each is carried
// out once.
func TestHalfAliveRedis(t *testing.T) {
	for _, state := range halfAlive {
		t.Run(state.name, func(t *testing.T) {
			t.Parallel()
			r := testkit.StartRedis(t)
			f := serve(t, r.Addr(), func(c *Config) { c.Timeout = 2 * time.Second })
			sub := f.store.client.PSubscribe(t.Context(), "socket.io*")
			defer sub.Close()
			if _, err := sub.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
			emit := func() answer { return f.once(t, "/v1/emit", `{"event":"alone"}`) }
			batch := func() answer {
				return f.once(t, "/v1/batch", strings.Repeat(`{"op":"emit","event":"line"}`+"\n", 3))
			}
			do(r, state.begin)
			one := emit()
			if one.Outcome == "" {
				t.Errorf("%d %s", one.Code, one.Text)
			}
			lines := batch()
			if n := strings.Count(lines.Text, `"outcome":"`+one.Outcome); n != 3 {
				t.Errorf("%d of 3 lines have the outcome %q: %s", n, one.Outcome, lines.Text)
			}
			if want := map[bool]string{true: unknown, false: notSent}[state.word == ""]; one.Outcome != want {
				t.Errorf("outcome %q, want %q", one.Outcome, want)
			}
			for _, operation := range []string{"emit", "batch"} {
				if !strings.Contains(f.logOf("api request failed", operation), state.word) {
					t.Errorf("the log has no word of %s about %s:\n%s", state.word, operation, f.log)
				}
			}
			do(r, state.mend)
			testkit.Until(t, "Redis to take both", func() bool {
				return emit().Code == http.StatusAccepted && strings.Count(batch().Text, `"status":202`) == 3
			})
			if a := f.post(t, "/v1/emit", `{"event":"last"}`); a.Code != http.StatusAccepted {
				t.Errorf("%d %s", a.Code, a.Text)
			}
			counts := map[string]int{}
			for counts["last"] == 0 {
				got, err := sub.ReceiveMessage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, event := range []string{"alone", "line", "last"} {
					counts[event] += strings.Count(got.Payload, event)
				}
			}
			if counts["alone"] != 1 || counts["line"] != 3 {
				t.Error(counts)
			}
		})
	}
}

func do(r *testkit.Redis, commands [][]any) {
	for _, c := range commands {
		r.Do(c...)
	}
}

// once sends a request that has its path as Idempotency-Key.
func (f *fixture) once(t *testing.T, path, body string) answer {
	t.Helper()
	return f.do(t, http.MethodPost, path, body, func(r *http.Request) { r.Header.Set("Idempotency-Key", path) })
}

// logOf returns the log's lines about an operation.
func (f *fixture) logOf(message, operation string) string {
	var lines []string
	for line := range strings.Lines(f.log.String()) {
		if strings.Contains(line, `msg="`+message+`"`) && strings.Contains(line, "operation="+operation+" ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
