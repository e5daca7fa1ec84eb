package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func newLogFile(t *testing.T, r Rotation) *logFile {
	t.Helper()
	l := &logFile{path: filepath.Join(t.TempDir(), "deep", "a.log"), rotation: r, log: zerolog.Nop()}
	t.Cleanup(func() {
		if l.f != nil {
			l.f.Close()
		}
	})
	return l
}

// files are the contents of a log file and of those put aside.
func files(t *testing.T, l *logFile) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(filepath.Dir(l.path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(filepath.Dir(l.path), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(raw)
	}
	return out
}

func TestLogFilesRotateBySize(t *testing.T) {
	l := newLogFile(t, Rotation{MaxSize: 10, Keep: 2})
	for i := range 5 {
		fmt.Fprintf(l, "line %d\n", i) // 7 bytes: two don't fit
	}
	want := map[string]string{"a.log": "line 4\n", "a.log.1": "line 3\n", "a.log.2": "line 2\n"}
	if got := files(t, l); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	fmt.Fprint(l, strings.Repeat("x", 100)) // longer than all: it gets a file of its own, once
	if got := files(t, l); len(got["a.log"]) != 100 || got["a.log.1"] != "line 4\n" {
		t.Errorf("got %q", got)
	}
}

func TestLogFilesRotateByAge(t *testing.T) {
	l := newLogFile(t, Rotation{MaxAge: time.Hour, Keep: 3})
	fmt.Fprint(l, "old\n")
	long := time.Now().Add(-2 * time.Hour)
	l.begun = long
	if err := os.Chtimes(l.path, long, long); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(l, "new\n") // what is put aside is too old to be kept
	if got := files(t, l); fmt.Sprint(got) != fmt.Sprint(map[string]string{"a.log": "new\n"}) {
		t.Errorf("got %q", got)
	}
}

func TestLogFilesAreEmptiedAndOpenedAnew(t *testing.T) {
	l := newLogFile(t, Rotation{})
	fmt.Fprint(l, "one\n")
	if err := os.Rename(l.path, l.path+".moved"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(l, "two\n")
	if err := l.reopen(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(l, "three\n")
	if got := files(t, l); got["a.log.moved"] != "one\ntwo\n" || got["a.log"] != "three\n" {
		t.Errorf("got %q", got)
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(l, "four\n")
	if got := files(t, l); got["a.log"] != "four\n" {
		t.Errorf("got %q", got)
	}
}

func TestLogFileThatCannotBeWrittenLosesLinesOnly(t *testing.T) {
	var said strings.Builder
	l := &logFile{path: filepath.Join("/dev/null", "a.log"), log: zerolog.New(&said)}
	for range 3 {
		if _, err := l.Write([]byte("line\n")); err == nil {
			t.Error("written")
		}
	}
	if got := strings.Count(said.String(), "cannot be written"); got != 1 {
		t.Errorf("said %d times: %s", got, said.String())
	}
}

func TestSharedLogFileIsOpenOnce(t *testing.T) {
	all := logFiles{log: zerolog.Nop(), open: map[string]*logFile{}}
	path := filepath.Join(t.TempDir(), "a.log")
	one, two := all.use(path), all.use(path)
	if one != two {
		t.Error("two writers of one file")
	}
	fmt.Fprint(one, "x\n")
	all.release(one)
	if two.f == nil {
		t.Error("closed for who still uses it")
	}
	all.release(two)
	if two.f != nil || len(all.open) != 0 {
		t.Error("still open")
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
		l := newLogFile(t, Rotation{})
		s := newSink(source{3, "api"}, streamErr, &a, l, nil, &followers{})
		s.Write([]byte("a\nb"))
		if got := files(t, l)["a.log"]; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	a := pm2.Default()
	a.LogType = "json"
	l := newLogFile(t, Rotation{})
	newSink(source{3, "api"}, streamErr, &a, l, nil, &followers{}).Write([]byte("one \"line\"\n\xff\x00binary\n"))
	lines := strings.Split(strings.TrimSuffix(files(t, l)["a.log"], "\n"), "\n")
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

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := tail(path, 3); got != nil {
		t.Errorf("of no file: %q", got)
	}
	long := strings.Repeat("x", 100<<10)
	for _, c := range []struct {
		text string
		n    int
		want []string
	}{
		{"", 3, nil},
		{"a\nb\nc\n", 2, []string{"b", "c"}},
		{"a\nb\nc", 9, []string{"a", "b", "c"}},
		{"a\n\nb\r\n", 3, []string{"a", "", "b"}},
		{long + "\nend\n", 1, []string{"end"}},
		{"begin\n" + long + "\nend\n", 2, []string{long, "end"}},
	} {
		write(c.text)
		if got := tail(path, c.n); !slices.Equal(got, c.want) {
			t.Errorf("%.20q, %d lines: got %.60q", c.text, c.n, got)
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
		if l := <-f.lines; l.Dropped != 0 || l.Text != "line" {
			t.Fatalf("%+v", l)
		}
	}
	s.Write([]byte("again\n"))
	if l := <-f.lines; l.Dropped != 10 || l.Text != "again" {
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
	if len(f.lines) != fit || f.dropped.Load() != fit {
		t.Errorf("%d lines wait, %d are dropped; want %d of each", len(f.lines), f.dropped.Load(), fit)
	}
	for range fit {
		f.taken(<-f.lines)
	}
	s.Write(long)
	if l := <-f.lines; l.Dropped != fit || len(l.Text) != maxFollowedLine {
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

// TestFloodHarmsNobody has two processes write as much as they can, one without a line break, and somebody follow who does not read.
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

// Who follows is told when the daemon is gone.
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
