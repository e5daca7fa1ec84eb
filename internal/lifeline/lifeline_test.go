package lifeline

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// pair opens a Line on one end of a socket pair and returns the supervisor's end.
func pair(t *testing.T) (*Line, net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	line, err := Open(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[1]), "supervisor")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return line, conn
}

func TestReportsAreLines(t *testing.T) {
	line, conn := pair(t)
	defer line.conn.Close()
	for _, kv := range [][2]string{{Worker, "aB3_"}, {Ready, "1"}} {
		if err := line.Report(kv[0], kv[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := line.Report("a", "b\nready=1"); err == nil {
		t.Error("a line break went through")
	}
	r := bufio.NewReader(conn)
	for _, want := range []string{"worker=aB3_\n", "ready=1\n"} {
		if got, err := r.ReadString('\n'); err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestRunEndsWithTheSupervisor(t *testing.T) {
	line, conn := pair(t)
	conn.Close()
	if err := line.Run(t.Context()); !errors.Is(err, ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	line, _ := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := line.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestNoSupervisor(t *testing.T) {
	line, err := Open(-1)
	if line != nil || err != nil {
		t.Fatal(line, err)
	}
	if err := line.Report(Ready, "1"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := line.Run(ctx); err != nil {
		t.Error(err)
	}
}

// TestBeatsLeaveRoomForReports: a supervisor that is stopped reads nothing, for hours perhaps.
func TestBeatsLeaveRoomForReports(t *testing.T) {
	line, conn := pair(t)
	defer line.conn.Close()
	said := make(chan error, 1)
	go func() {
		for range 10_000 {
			if err := line.beatOnce(); err != nil {
				said <- err
				return
			}
		}
		said <- line.Report(Draining, "1")
	}()
	if err := testkit.Receive(t, "the report", said); err != nil {
		t.Fatal(err)
	}
	lines, beats := bufio.NewScanner(conn), 0
	for lines.Scan() && strings.HasPrefix(lines.Text(), Alive+"=") {
		beats++
	}
	if lines.Text() != Draining+"=1" || beats == 0 {
		t.Errorf("%d beats and %q", beats, lines.Text())
	}
	if err := line.beatOnce(); err != nil || !lines.Scan() {
		t.Error("no beats once they are read")
	}
}

// TestBeatsMeet: processes that start at any time beat at the same moments.
func TestBeatsMeet(t *testing.T) {
	begin := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Duration{0, 1, time.Millisecond, BeatInterval - 1, BeatInterval, BeatInterval + 1, time.Hour + 7} {
		wait := UntilBeat(begin.Add(at))
		if wait <= 0 || wait > BeatInterval || (at+wait)%BeatInterval != 0 {
			t.Errorf("%v after a beat the next one comes after %v", at, wait)
		}
	}
}
