package httpapi

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestExamples: the programs of examples/api repeat a request that was refused while Redis was away,
// and their event goes out once.
func TestExamples(t *testing.T) {
	for _, c := range []struct{ interpreter, file, text string }{
		{"sh", "emit.sh", `"it's \"here\""`},
		{"php", "emit.php", `it's "here"`},
		{"python3", "emit.py", `it's "here"`},
		{"ruby", "emit.rb", `it's "here"`},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			if c.interpreter == "sh" {
				testkit.Need(t, "curl")
			}
			interpreter := testkit.Need(t, c.interpreter)
			r := testkit.StartRedis(t)
			f := serve(t, r.Addr(), nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			events := f.store.client.Subscribe(ctx, "socket.io#/#lobby#")
			defer events.Close()
			if _, err := events.Receive(ctx); err != nil {
				t.Fatal(err)
			}
			f.store.away.Store(true)
			cmd := exec.CommandContext(ctx, interpreter, filepath.Join("..", "..", "examples", "api", c.file), "lobby", c.text)
			cmd.Env = append(os.Environ(), "API_URL="+f.URL, "API_KEY="+shopKey)
			var out testkit.Output
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- cmd.Wait() }()
			testkit.Until(t, "a request to be refused", func() bool {
				n, err := testutil.GatherAndCount(f.metrics, "sidereal_api_actions_total")
				return err == nil && n > 0
			})
			f.store.away.Store(false)
			if err := testkit.Receive(t, "the end of the program", done); err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			m, err := events.ReceiveMessage(ctx)
			if err != nil || !strings.Contains(m.Payload, `it's "here"`) {
				t.Errorf("%q, %v", m, err)
			}
			f.post(t, "/v1/emit", `{"event":"last","rooms":["lobby"]}`)
			if m, err := events.ReceiveMessage(ctx); err != nil || !strings.Contains(m.Payload, "last") {
				t.Errorf("the event went out twice: %q, %v", m, err)
			}
		})
	}
}
