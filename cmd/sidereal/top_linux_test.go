package main

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// busy is a Source whose counts go up with each question.
type busy struct {
	inspect.None
	asked atomic.Uint64
}

func (b *busy) Samples(context.Context) ([]inspect.Sample, error) {
	n := b.asked.Add(1)
	of := inspect.Process{Host: "earth", Name: "worker-1", Role: "worker", PID: 7}
	other := inspect.Process{Host: "moon", Name: "worker-2", Role: "worker", PID: 8}
	return []inspect.Sample{
		{Process: of, At: time.Now(), Sessions: 3, EventsIn: 1000 * n, Memory: 1 << 20},
		{Process: other, At: time.Now(), Sessions: 2, Memory: 2 << 20},
	}, nil
}

func (b *busy) Namespaces(context.Context) ([]inspect.Namespace, error) {
	return []inspect.Namespace{{Name: "/chat", Sockets: 5}}, nil
}

func (b *busy) Rooms(_ context.Context, q inspect.Query) (inspect.Page[inspect.Room], error) {
	return inspect.RoomPage(q, []inspect.Room{{Namespace: "/chat", Name: "lobby", Sockets: 4}}, 0), nil
}

func (b *busy) Clients(_ context.Context, q inspect.Query) (inspect.Page[inspect.Client], error) {
	return inspect.ClientPage(q, []inspect.Client{{Socket: "socket-1", Namespace: "/chat", Address: "10.1.2.3:4"}}, 0), nil
}

// serveBusy serves a busy host and returns its admin address.
func serveBusy(t *testing.T) string {
	server := httptest.NewServer(inspect.NewHandler(&busy{}, nil))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestTop drives the live view over a terminal.
func TestTop(t *testing.T) {
	screen, tty := testkit.Terminal(t)
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sidereal", "top")
	cmd.Env = append(os.Environ(), "SIDEREAL_ADMIN_ADDR="+serveBusy(t), "GORACE=atexit_sleep_ms=0")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var s shown
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		s.follow(screen)
	}()
	testkit.Until(t, "the first page", func() bool { return s.has("\x1b[?1049h", "worker-1", "worker-2", "5 sessions", "5 clients") })
	for _, step := range []struct{ keys, shows string }{
		{"1", "earth"}, {"m", "mem ▾"}, {"3", "/chat"}, {"4", "lobby"}, {"5", "10.1.2.3:4"}, {"2", "worker-2"},
	} {
		if _, err := screen.WriteString(step.keys); err != nil {
			t.Fatal(err)
		}
		testkit.Until(t, step.shows+" after "+step.keys, func() bool { return s.has(step.shows) })
	}
	if _, err := screen.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	testkit.Until(t, "the first screen", func() bool { return s.has("\x1b[?1049l") })
	after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal has %+v, had %+v, %v", after, before, err)
	}
	tty.Close()
	screen.Close()
	<-followed
}

func TestTopOnce(t *testing.T) {
	addr := serveBusy(t)
	run := func(args ...string) (string, error) {
		cmd := exec.Command("sidereal", append([]string{"top"}, args...)...)
		cmd.Env = append(os.Environ(), "SIDEREAL_ADMIN_ADDR="+addr, "GORACE=atexit_sleep_ms=0")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run("--once", "--json", "--sort", "events")
	var answer struct {
		By, Sort string
		Rows     []struct {
			Name   string
			Events float64
		}
	}
	if err != nil || json.Unmarshal([]byte(out), &answer) != nil || answer.By != "process" || answer.Sort != "events" || len(answer.Rows) != 2 ||
		answer.Rows[0].Name != "worker-1" || answer.Rows[0].Events <= 0 {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run("--once", "--by", "room"); err != nil || !strings.Contains(out, "lobby") {
		t.Errorf("%q, %v", out, err)
	}
	for want, args := range map[string][]string{
		"--by must be one of host":             {"--by", "planet"},
		`can't be sorted by "cpu"`:             {"--by", "room", "--sort", "cpu"},
		"top needs a terminal":                 {},
		"no host answers at 127.0.0.1:1: dial": {"--admin-addr", "127.0.0.1:1", "--once"},
	} {
		if out, err := run(args...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%v: %q, %v", args, out, err)
		}
	}
}
