package emitter_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// logged collects what slog.Default() is told until the test ends.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) warnings() (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "level=WARN") {
			lines = append(lines, line)
		}
	}
	return lines
}

func catchLog(t *testing.T) *logged {
	l := new(logged)
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(l, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return l
}

// fromEnv makes an emitter of these variables, and closes it when the test ends.
func fromEnv(t *testing.T, environ map[string]string) *emitter.Emitter {
	t.Helper()
	for name, value := range environ {
		t.Setenv(name, value)
	}
	e, err := emitter.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// The emitter needs only the variables that its servers have. With another key than theirs it warns
// that nobody listens, once for many calls.
func TestFromEnvSpeaksToTheServers(t *testing.T) {
	r := testkit.StartRedis(t)
	for _, c := range []struct {
		adapter string
		form    adapter.Form
	}{{"", nil}, {"redis-sharded", adapter.Sharded{}}, {"redis-streams", adapter.Streams{}}, {"redis-streams", adapter.Streams{UseShardedPubSub: true}}} {
		t.Run(c.adapter, func(t *testing.T) {
			lines := catchLog(t)
			cluster, err := adapter.New(adapter.Config{Redis: sidereal.Redis{URL: r.URL()}, Key: "shop", Form: c.form})
			if err != nil {
				t.Fatal(err)
			}
			h := serve(t, cluster, "server")
			environ := map[string]string{"SIDEREAL_REDIS_URL": r.URL(), "SIDEREAL_ADAPTER": c.adapter, "SIDEREAL_ADAPTER_KEY": "shop"}
			e := fromEnv(t, environ)
			for _, err := range []error{
				e.To("nobody is here").Emit(bounded(t), "unheard"), e.Of("/nowhere").Emit(bounded(t), "unheard"),
				e.Emit(bounded(t), "heard", 1), e.Of("/chat").Emit(bounded(t), "heard"),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			h.one.want("heard[1]")
			h.chat.want("heard[]")
			if warned := lines.warnings(); len(warned) > 0 {
				t.Errorf("with a server there: %q", warned)
			}

			environ["SIDEREAL_ADAPTER_KEY"] = "shpo"
			e = fromEnv(t, environ)
			for range 3 {
				if err := e.To("room").Emit(bounded(t), "unheard"); err != nil {
					t.Fatal(err)
				}
			}
			if warned := lines.warnings(); len(warned) != 1 || !strings.Contains(warned[0], "no server hears") || !strings.Contains(warned[0], "shpo") {
				t.Errorf("with a key that no server has: %q, want one warning", warned)
			}
		})
	}
}

func TestFromEnvNamesWrongVariables(t *testing.T) {
	for want, environ := range map[string]map[string]string{
		"SIDEREAL_REDIS_URL must name the servers' Redis": {},
		`SIDEREAL_ADAPTER="memory"`:                       {"SIDEREAL_REDIS_URL": "redis://127.0.0.1:1", "SIDEREAL_ADAPTER": "memory"},
		`SIDEREAL_REDIS_URL="http://127.0.0.1:1"`:         {"SIDEREAL_REDIS_URL": "http://127.0.0.1:1"},
		`SIDEREAL_STREAM_MAX_LEN="few"`:                   {"SIDEREAL_REDIS_URL": "redis://127.0.0.1:1", "SIDEREAL_STREAM_MAX_LEN": "few"},
	} {
		t.Run(want, func(t *testing.T) {
			for name, value := range environ {
				t.Setenv(name, value)
			}
			if _, err := emitter.FromEnv(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		})
	}
}

func TestCloseLeavesTheCallersClientAlone(t *testing.T) {
	r := testkit.StartRedis(t)
	e := dial(t, r.Addr())
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Emit(bounded(t), "ev"); err != nil {
		t.Error(err)
	}
}
