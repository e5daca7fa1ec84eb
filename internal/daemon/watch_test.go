package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

func TestWatchLooksAtNothingThatWeWrite(t *testing.T) {
	a := pm2.Default()
	f := &files{app: &a, home: "/srv/app/.home"}
	a.Cwd, a.OutFile, a.PIDFile = "/srv/app", "/srv/app/logs/out.log", "/srv/app/run/app.pid"
	a.IgnoreWatch = nil
	for path, want := range map[string]bool{
		"/srv/app/.home": true, "/srv/app/.home/logs/api-out.log": true, "/srv/app/.homework": false, "/srv/app/worker.js": false,
		"/srv/app/logs/out-3.log": true, "/srv/app/logs/out-3.log.1": true, "/srv/app/logs/in.log": false, "/srv/app/run/app-0.pid": true,
	} {
		if got := f.ignored(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestStopEndsTheWatch(t *testing.T) {
	r := runDaemon(t)
	a := app(t, "a", "worker")
	a.Watch = []string{a.Cwd}
	r.must(r.start(StartNew, a))
	r.must(r.act(Action{Verb: Stop, Targets: []string{"a"}}))
	if got := r.list().Apps["a"].App.Watch; len(got) != 1 {
		t.Errorf("stop alone leaves %q", got)
	}
	r.must(r.act(Action{Verb: Stop, Targets: []string{"a"}, Unwatch: true}))
	r.must(r.act(Action{Verb: Restart, Targets: []string{"a"}}))
	if got := r.list().Apps["a"].App.Watch; len(got) != 0 {
		t.Errorf("watches %q", got)
	}
}

// Changes that come in a row are one restart, a delay after the last of them; those that never
// pause are, too, after a while.
func TestChangesAreTakenTogether(t *testing.T) {
	c := calm{delay: time.Second}
	begin := time.Unix(1000, 0)
	for _, step := range []struct{ at, want time.Duration }{
		{0, time.Second}, {900 * time.Millisecond, time.Second}, {3900 * time.Millisecond, time.Second}, {4500 * time.Millisecond, 500 * time.Millisecond}, {6 * time.Second, 0},
	} {
		if got := c.after(begin.Add(step.at)); got != step.want {
			t.Errorf("a change after %v: waits %v, want %v", step.at, got, step.want)
		}
	}
	c.over()
	if got := c.after(begin.Add(time.Hour)); got != time.Second {
		t.Errorf("the next ones wait %v", got)
	}
}

// Somebody learns of what can't be watched: a path with a mistake restarts nothing, ever.
func TestUnwatchedPathsAreSaid(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"a/b", "skipped"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	a := pm2.Default()
	a.Name = "api"
	f, err := newFiles(&a, "/none", slog.New(loghandler.New(&log, slog.LevelDebug)))
	if err != nil {
		t.Fatal(err)
	}
	if errs := f.addTree(t.Context(), dir); len(errs) > 0 || len(f.WatchList()) != 4 {
		t.Errorf("%v, %v", errs, f.WatchList())
	}
	missing := filepath.Join(dir, "typo")
	f.unwatched(f.addTree(t.Context(), missing))
	if got := log.String(); !strings.Contains(got, missing) || !strings.Contains(got, `"places":1`) {
		t.Errorf("logged %q", got)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	f.unwatched(f.addTree(t.Context(), dir)) // each of the folders fails
	if got := log.String(); !strings.Contains(got, `"places":4`) || !strings.Contains(got, filepath.Join(dir, "a", "b")) {
		t.Errorf("logged %q", got)
	}
	log.Reset()
	f.unwatched(slices.Repeat([]error{fmt.Errorf("x: %w", syscall.ENOSPC)}, 100))
	if got := log.String(); !strings.Contains(got, "max_user_watches") || strings.Count(got, "x: ") != maxUnwatched {
		t.Errorf("logged %q", got)
	}
}
