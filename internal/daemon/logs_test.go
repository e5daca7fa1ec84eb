package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// newLogFile makes a log file, and text returns what it holds.
func newLogFile(t *testing.T) (l *logfile.File, text func() string) {
	l = logfile.New(filepath.Join(t.TempDir(), "a.log"), logfile.Rotation{}, slog.New(slog.DiscardHandler))
	return l, func() string {
		raw, err := os.ReadFile(l.Path())
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
}

func TestSinkDressesLines(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*pm2.App)
		want   string
	}{
		{"as it is", func(*pm2.App) {}, "a\nb"},
		{"dated", func(a *pm2.App) { a.LogDateFormat = "[at]" }, "at: a\nat: b"},
	} {
		a := pm2.Default()
		c.change(&a)
		l, text := newLogFile(t)
		s := newSink(source{3, "api"}, streamErr, &a, l, nil, &followers{})
		s.Write([]byte("a\nb"))
		if got := text(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	a := pm2.Default()
	a.LogType = "json"
	l, text := newLogFile(t)
	newSink(source{3, "api"}, streamErr, &a, l, nil, &followers{}).Write([]byte("one \"line\"\n\xff\x00binary\n"))
	lines := strings.Split(strings.TrimSuffix(text(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %q", lines)
	}
	for _, line := range lines {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if o["type"] != "err" || o["process_id"] != 3.0 || o["app_name"] != "api" || o["timestamp"] == "" {
			t.Errorf("got %v", o)
		}
	}
}

func TestFollowerThatIsSlowLosesLinesAndHoldsUpNobody(t *testing.T) {
	fs := &followers{all: map[*follower]bool{}}
	f := fs.add(func(source, string) bool { return true })
	defer fs.remove(f)
	a := pm2.Default()
	s := newSink(source{1, "a"}, streamOut, &a, nil, nil, fs)
	for range maxFollowed + 10 {
		s.Write([]byte("line\n"))
	}
	for range maxFollowed {
		if l := <-f.items; l.Dropped != 0 || l.Text != "line" {
			t.Fatalf("%+v", l)
		}
	}
	s.Write([]byte("again\n"))
	if l := <-f.items; l.Dropped != 10 || l.Text != "again" {
		t.Errorf("%+v", l)
	}
}

// Long lines wait for a slow follower up to a number of bytes, and not of lines.
func TestLinesThatWaitForAFollowerAreBoundedInBytes(t *testing.T) {
	fs := &followers{all: map[*follower]bool{}}
	f := fs.add(func(source, string) bool { return true })
	defer fs.remove(f)
	a := pm2.Default()
	s := newSink(source{1, "a"}, streamOut, &a, nil, nil, fs)
	long := append(bytes.Repeat([]byte("x"), 64<<10), '\n')
	const fit = maxFollowedBytes / maxFollowedLine
	for range 2 * fit {
		s.Write(long)
	}
	if len(f.items) != fit || f.dropped.Load() != fit {
		t.Errorf("%d lines wait, %d are dropped; want %d of each", len(f.items), f.dropped.Load(), fit)
	}
	for range fit {
		l := <-f.items
		f.taken(len(l.Text))
	}
	s.Write(long)
	if l := <-f.items; l.Dropped != fit || len(l.Text) != maxFollowedLine {
		t.Errorf("%d dropped, %d bytes", l.Dropped, len(l.Text))
	}
}

func TestLogsOfARunningDaemon(t *testing.T) {
	r := runDaemon(t)
	r.must(r.start(StartNew, app(t, "api", "worker")))
	out := r.list().Processes[0].OutFile
	fileEventually(t, out, "env NODE_APP_INSTANCE=0 pm_id=0 name=api\n")
	var past []LogLine
	if err := r.Logs(t.Context(), LogRequest{Targets: []string{"api"}, Lines: 5, Out: true}, func(l LogLine) error {
		past = append(past, l)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(past) != 1 || past[0].File != out || past[0].Stream != "out" || past[0].Name != "api" {
		t.Errorf("%+v", past)
	}
	fileEventually(t, r.list().Processes[0].ErrorFile, "an error of 0\n")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	errSeen := errors.New("seen")
	following, followed := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		followed <- r.Logs(ctx, LogRequest{Targets: []string{"api"}, Lines: 1, Follow: true, Err: true}, func(l LogLine) error {
			if l.Text != "an error of 0" || l.Stream != "err" {
				t.Errorf("%+v", l)
			}
			if l.File != "" { // of the past, which is read once the follower is there
				following <- struct{}{}
				return nil
			}
			if l.Time.IsZero() {
				t.Errorf("%+v", l)
			}
			return errSeen
		})
	}()
	testkit.Receive(t, "the line of the past", following)
	r.must(r.act(Action{Verb: Restart, Targets: []string{"api"}}))
	if err := testkit.Receive(t, "the end of the logs", followed); !errors.Is(err, errSeen) {
		t.Error(err)
	}
	r.must(r.act(Action{Verb: Flush, Targets: []string{"all"}}))
	if raw, err := os.ReadFile(out); err != nil || len(raw) > 0 {
		t.Errorf("%q, %v", raw, err)
	}
	if err := os.Rename(out, out+".old"); err != nil {
		t.Fatal(err)
	}
	r.must(r.act(Action{Verb: ReloadLogs, Targets: []string{"all"}}))
	if _, err := os.Stat(out); errors.Is(err, fs.ErrNotExist) {
		t.Error("the file was not opened anew")
	}
}

// TestFloodHarmsNobody has two processes write as much as they can, one without a line break, and
// somebody follow who does not read.
func TestFloodHarmsNobody(t *testing.T) {
	r := runDaemon(t, func(c *Config) { c.Settings.LogMaxMB, c.Settings.LogKeep = 1, 2 })
	following, stop := context.WithCancel(t.Context())
	defer stop()
	r.must(r.start(StartNew, interpreted(t, app(t, "flood", "flood"), "sh"), interpreted(t, app(t, "chatter", "chatter"), "sh"), app(t, "api", "worker")))
	followed := make(chan error, 1)
	seen := make(chan struct{})
	go func() {
		var once sync.Once
		followed <- r.Logs(following, LogRequest{Targets: []string{"all"}, Follow: true}, func(LogLine) error {
			once.Do(func() { close(seen) })
			<-following.Done()
			return nil
		})
	}()
	<-seen
	l := r.list()
	dir := filepath.Dir(l.Processes[0].OutFile)
	testkit.Until(t, "their log files rotate", func() bool {
		_, err := os.Stat(filepath.Join(dir, "flood-out-0.log.2"))
		_, also := os.Stat(filepath.Join(dir, "chatter-out-1.log.2"))
		return err == nil && also == nil
	})
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	if total > 8<<20 {
		t.Errorf("%d bytes of logs", total)
	}
	r.must(r.act(Action{Verb: Restart, Targets: []string{"api"}}))
	if l := r.list(); l.Processes[2].Status != Online {
		t.Errorf("%+v", l.Processes[2])
	}
	r.must(r.act(Action{Verb: Stop, Targets: []string{"flood", "chatter"}})) // which block, if nobody takes what they write
	stop()
	if err := <-followed; err != nil {
		t.Error(err)
	}
}

// A pipe whose reader is suspended takes no lines. Neither the process that logs into it nor the
// daemon hangs on that.
func TestSuspendedReaderOfALogPipeHoldsUpNobody(t *testing.T) {
	r := runDaemon(t)
	fifo := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDWR, 0) // never reads
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	a := interpreted(t, app(t, "chatter", "chatter"), "sh")
	a.OutFile, a.MergeLogs = fifo, true
	r.must(r.start(StartNew, a))
	testkit.Until(t, "the pipe is full", func() bool {
		var pipe [1]unix.PollFd
		pipe[0] = unix.PollFd{Fd: int32(reader.Fd()), Events: unix.POLLOUT}
		n, err := unix.Poll(pipe[:], 0)
		return n == 0 && err == nil
	})
	r.together(1, func(ctx context.Context) error {
		return r.Act(ctx, Action{Verb: Delete, Targets: []string{"chatter"}}, nil)
	}, func(ctx context.Context) error {
		return r.Start(ctx, Start{Apps: []pm2.App{app(t, "api", "worker")}, Mode: StartNew}, nil)
	})
	if l := r.list(); len(l.Processes) != 1 || l.Processes[0].Status != Online {
		t.Errorf("%+v", l.Processes)
	}
}

// A follower is told when the daemon is gone.
func TestFollowersLearnOfTheDaemonsEnd(t *testing.T) {
	c, _ := spawned(t, testHome(t))
	info, err := c.Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	first := make(chan struct{})
	go func() {
		var once sync.Once
		ended <- c.Logs(t.Context(), LogRequest{Lines: 1, Follow: true}, func(LogLine) error { // its own line of being ready
			once.Do(func() { close(first) })
			return nil
		})
	}()
	<-first
	if err := syscall.Kill(info.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	fails(t, <-ended, 1, "the daemon has ended")
}
