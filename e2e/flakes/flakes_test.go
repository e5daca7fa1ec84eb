//go:build unix

package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// module writes a module with these files below a folder, and works there until the test ends.
func module(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.org/m\n\ngo 1.26\n"
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

const (
	good = `package good
import "testing"
func TestGood(t *testing.T) { t.Run("sub", func(*testing.T) {}) }
`
	bad = `package bad
import ("net"; "os"; "testing"; "time")
func TestGood(t *testing.T) {}
func TestOfTables(t *testing.T) {
	t.Run("fine", func(t *testing.T) { t.Log("all is well") })
	t.Run("wrong", func(t *testing.T) { t.Error("got 1, want 2") })
}
func TestOnce(t *testing.T) { // fails in the first process only
	if f, err := os.OpenFile("once", os.O_CREATE|os.O_EXCL, 0o600); err == nil { f.Close(); t.Fatal("the first time") }
}
func TestThatHangs(t *testing.T) {
	t.Log("before")
	if addr := os.Getenv("HANG"); addr != "" { net.Dial("tcp", addr); time.Sleep(time.Hour) }
}
`
	exits = `package exits
import ("fmt"; "os"; "testing")
func TestMain(m *testing.M) { m.Run(); fmt.Println("goleak: Errors on successful test run: one is left"); os.Exit(1) }
func TestGood(t *testing.T) {}
`
	panics = `package panics
import "testing"
func TestOfGoroutine(t *testing.T) { done := make(chan int); go func() { panic("nobody recovers") }(); <-done }
`
	broken = `package broken
import "testing"
func TestNever(t *testing.T) { undefined() }
`
)

// few are options of a short hunt.
func few() options {
	return options{packages: []string{"./..."}, rounds: 2, count: 1, limit: time.Minute, out: "kept", revision: "HEAD", target: "test"}
}

// TestTable: the table has one row for each test that fails under a condition, with the line that
// tells why, and the folder its whole output.
func TestTable(t *testing.T) {
	module(t, map[string]string{
		"good/good_test.go": good, "bad/bad_test.go": bad, "exits/exits_test.go": exits, "panics/panics_test.go": panics,
		"broken/broken_test.go": broken,
	})
	o := few()
	o.conditions = "cpu"
	var out bytes.Buffer
	failed, err := hunt(t.Context(), o, &out)
	if err != nil || !failed {
		t.Fatalf("failed: %t, error: %v\n%s", failed, err, &out)
	}
	_, table, _ := strings.Cut(out.String(), "PACKAGE")
	rows := strings.Split(strings.TrimSpace(table), "\n")[1:]
	want := [][]string{
		{"example.org/m/bad", "TestOfTables/wrong", "cpu", "6/6", "bad_test.go:6: got 1, want 2"},
		{"example.org/m/bad", "TestOnce", "cpu", "1/6", "bad_test.go:9: the first time"},
		{"example.org/m/broken", "-", "cpu", "2/2", "broken/broken_test.go:3:32: undefined: undefined"},
		{"example.org/m/exits", "-", "cpu", "2/2", "goleak: Errors on successful test run: one is left"},
		{"example.org/m/panics", "TestOfGoroutine", "cpu", "2/2", "panic: nobody recovers"},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d:\n%s", len(rows), len(want), &out)
	}
	for i, row := range rows {
		rest := row
		for _, cell := range want[i] {
			var before string
			var found bool
			if before, rest, found = strings.Cut(rest, cell); !found || strings.TrimSpace(before) != "" {
				t.Errorf("row %q, want the cells %q", row, want[i])
				break
			}
		}
		file := strings.TrimSpace(rest)
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), strings.TrimSuffix(want[i][4], "…")) {
			t.Errorf("row %q: its file holds %q (%v)", row, text, err)
		}
	}
	kept, _ := filepath.Glob("kept/*")
	if len(kept) != 6+1+2*3 {
		t.Errorf("%d failures kept, want 13: %q", len(kept), kept)
	}
}

// TestNothingFailed: tests that pass make no table, and a good exit code.
func TestNothingFailed(t *testing.T) {
	module(t, map[string]string{"good/good_test.go": good})
	o := few()
	o.rounds, o.conditions = 1, "busy"
	if _, err := exec.LookPath("taskset"); err == nil {
		o.conditions = "core-busy"
	}
	var out bytes.Buffer
	if failed, err := hunt(t.Context(), o, &out); err != nil || failed || !strings.Contains(out.String(), "Nothing failed.") {
		t.Fatalf("failed: %t, error: %v\n%s", failed, err, &out)
	}
	if _, err := os.Stat("kept"); err == nil {
		t.Error("a folder was made for nothing")
	}
}

// TestInterrupted: what the end of the time interrupts isn't a failure, and the report says that
// runs are missing.
func TestInterrupted(t *testing.T) {
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HANG", door.Addr().String())
	module(t, map[string]string{"bad/bad_test.go": bad})
	o := few()
	o.run, o.conditions = "TestThatHangs", "busy"
	var out bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	var hunts sync.WaitGroup
	hunts.Go(func() {
		defer door.Close()
		if failed, err := hunt(ctx, o, &out); err != nil || failed {
			t.Errorf("failed: %t, error: %v", failed, err)
		}
	})
	if caller, err := door.Accept(); err == nil { // the test hangs, however long the compiler took
		defer caller.Close()
	} else {
		t.Errorf("the hunt ended by itself: %v", err)
	}
	stop()
	hunts.Wait()
	if !strings.Contains(out.String(), "only 0 of 2 runs ended") {
		t.Errorf("got:\n%s", &out)
	}
}

// TestLimit: a run that takes too long has failed, and the test that ran is named.
func TestLimit(t *testing.T) {
	t.Setenv("HANG", "127.0.0.1:1")
	module(t, map[string]string{"bad/bad_test.go": bad})
	o := few()
	o.run, o.conditions, o.rounds, o.limit = "TestThatHangs", "shuffle", 1, 2*time.Second
	var out bytes.Buffer
	failed, err := hunt(t.Context(), o, &out)
	if err != nil || !failed {
		t.Fatalf("failed: %t, error: %v\n%s", failed, err, &out)
	}
}

// TestFullRounds: each round runs `make test` in a fresh clone of the commit, whatever lies in the
// working folder, and the clones are gone afterwards.
func TestFullRounds(t *testing.T) {
	testkit.Need(t, "git")
	testkit.Need(t, "make")
	module(t, map[string]string{
		"good/good_test.go": good, "bad/bad_test.go": bad,
		"Makefile": "test:\n\t@echo making\n\tgo test $(TESTFLAGS) ./...\nbroken:\n\t@echo no tool; exit 3\n",
	})
	for _, args := range [][]string{
		{"init", "-q"}, {"add", "."}, {"-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "all"},
	} {
		if text, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, text)
		}
	}
	if err := os.WriteFile("bad/bad_test.go", []byte("not committed"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	o := few()
	o.full, o.busy = 2, 1
	var out bytes.Buffer
	failed, err := hunt(t.Context(), o, &out)
	if err != nil || !failed {
		t.Fatalf("failed: %t, error: %v\n%s", failed, err, &out)
	}
	for _, want := range []string{"make test, busy cores  1/1", "make test              1/1", "TestOfTables/wrong", "bad_test.go:9: the first time"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	o.full, o.busy, o.target = 1, 0, "broken"
	out.Reset()
	if failed, err := hunt(t.Context(), o, &out); err != nil || !failed || !strings.Contains(out.String(), "the command failed: exit status 2") {
		t.Errorf("failed: %t, error: %v\n%s", failed, err, &out)
	}
	if left, _ := filepath.Glob(os.Getenv("TMPDIR") + "/flakes-*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestUsage: a mistake in the flags runs nothing.
func TestUsage(t *testing.T) {
	for name, o := range map[string]options{
		"unknown condition": {conditions: "cpu,rain", rounds: 1},
		"more busy":         {full: 1, busy: 2},
		"more cold":         {full: 1, cold: 2},
	} {
		if _, err := hunt(t.Context(), o, &bytes.Buffer{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestOccupy: the loops end when they are told to.
func TestOccupy(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	loops := func() int {
		stacks := make([]byte, 1<<20)
		return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "flakes.occupy.func")
	}
	release := occupy(2)
	if n := loops(); n != 2 {
		t.Errorf("%d loops are running", n)
	}
	release()
	if n := loops(); n != 0 {
		t.Errorf("%d loops are left", n)
	}
	if n := runtime.GOMAXPROCS(0); n != procs {
		t.Errorf("GOMAXPROCS %d, was %d", n, procs)
	}
}
