package daemon

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A start that needs the embedded Redis ends with the reason why that does not run, and the next
// one tries anew.
func TestEmbeddedRedisThatDoesNotRunEndsTheStart(t *testing.T) {
	for _, c := range []struct{ name, code, reason string }{
		{"given up", "2", "exit status 2"},
		{"keeps ending", "1", "keeps ending: exit status 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := filepath.Join(t.TempDir(), "broken")
			if err := os.WriteFile(broken, []byte(c.code), 0o600); err != nil {
				t.Fatal(err)
			}
			r := runDaemon(t, func(cfg *Config) { cfg.Environ = append(cfg.Environ, "FAKE_REDIS_FAIL="+broken) })
			a := app(t, "api", "worker")
			_, err := r.start(StartRestart, a)
			fails(t, err, 1, "api: the embedded Redis isn't running", c.reason)
			if l := r.list(); len(l.Processes) != 0 || len(l.Services) != 0 {
				t.Errorf("left in the list: %+v", l)
			}
			os.Remove(broken)
			r.must(r.start(StartRestart, a))
		})
	}
}

// An embedded Redis that was given up while apps run is started by the next command that needs it.
func TestEmbeddedRedisThatWasGivenUpIsStartedAgain(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	r := runDaemon(t, func(cfg *Config) { cfg.Environ = append(cfg.Environ, "FAKE_REDIS_FAIL="+broken) })
	r.must(r.start(StartRestart, app(t, "api", "worker")))
	if err := os.WriteFile(broken, []byte("2"), 0o600); err != nil {
		t.Fatal(err)
	}
	redis := func(l Listing) Service {
		if len(l.Services) != 1 {
			t.Fatalf("services: %+v", l.Services)
		}
		return l.Services[0]
	}
	if err := syscall.Kill(redis(r.list()).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.eventually("given up", func(l Listing) bool { return redis(l).Status == Errored })
	_, err := r.start(StartRestart, app(t, "other", "worker"))
	fails(t, err, 1, "other: the embedded Redis isn't running")
	os.Remove(broken)
	r.must(r.act(Action{Verb: Restart, Targets: []string{"api"}}))
	r.eventually("up again", func(l Listing) bool { return redis(l).Status == Online })
	r.must(r.start(StartRestart, app(t, "other", "worker")))
}
