//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// BenchmarkBesidePM2 runs the worker of the @socket.io/pm2 documentation, two instances, under that
// and under sidereal, in turns. PM2 names the other's program:
//
//	PM2=node_modules/.bin/pm2 go test -tags e2e ./e2e -run '^$' -bench BesidePM2 -benchtime 5x
//
// An iteration is 200 polling sessions (handshake, connect, an event with its ack, close) over
// connections that are kept, and a reload of both workers. Figures: CPU of everything but the
// workers for each session, the time of a reload, and the memory of everything but the workers
// (PSS: what is shared counts once).
func BenchmarkBesidePM2(b *testing.B) {
	other := os.Getenv("PM2")
	if other == "" {
		b.Skip("PM2 does not name the program of @socket.io/pm2")
	}
	systems := []*supervised{newSupervised(b, "pm2", other, "PM2_HOME"), newSupervised(b, "sidereal", harness.Binary(), "SIDEREAL_HOME")}
	for b.Loop() {
		for _, s := range systems {
			s.measure(b)
		}
	}
	for _, s := range systems {
		n := time.Duration(b.N)
		b.ReportMetric(float64((s.cpu / n / sessionsEach).Microseconds()), s.name+"-µs/session")
		b.ReportMetric((s.reload / n).Seconds(), s.name+"-s/reload")
		b.ReportMetric(float64(s.memory)/(1<<20), s.name+"-MB")
	}
	b.ReportMetric(0, "ns/op")
}

const sessionsEach = 200

// supervised is a system with two workers, and what they cost.
type supervised struct {
	name, program string
	port          int
	env           []string

	cpu    time.Duration
	reload time.Duration
	memory int64 // bytes, at the last look
}

func newSupervised(b *testing.B, name, program, home string) *supervised {
	program, err := filepath.Abs(program)
	if err != nil {
		b.Fatal(err)
	}
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		b.Fatal(err)
	}
	s := &supervised{name: name, program: program, port: testkit.FreePort(b)}
	s.env = append(os.Environ(), home+"="+dir, fmt.Sprint("PM2_PORT=", s.port), "SIDEREAL_ADMIN_ADDR=off", "SIDEREAL_HANDSHAKE_RATE=100000")
	b.Cleanup(func() {
		s.do(b, "kill")
		os.RemoveAll(dir)
	})
	s.do(b, "start", "worker.js", "-i", "2")
	return s
}

func (s *supervised) do(b *testing.B, args ...string) string {
	b.Helper()
	cmd := exec.Command(s.program, args...)
	cmd.Dir, cmd.Env = filepath.Join(harness.Root(), "e2e", "js", "dropin"), s.env
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%s %q: %v\n%s", s.name, args, err, out)
	}
	return string(out)
}

// measure makes sessions, and replaces the workers.
func (s *supervised) measure(b *testing.B) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	workers := strings.Fields(s.do(b, "pid", "worker"))
	parents := s.parents(b, workers)
	before := cpuOf(b, parents)
	for range sessionsEach {
		p := &harness.Poller{HTTP: http.DefaultClient, Entries: []string{fmt.Sprint("http://127.0.0.1:", s.port)}}
		if err := p.Open(ctx); err != nil {
			continue // sticky forgets some, and answers 400
		}
		if _, err := p.Ask(ctx, 1, "echo", "x"); err == nil {
			p.Close(ctx)
		}
	}
	s.cpu += cpuOf(b, parents) - before
	s.memory = 0
	for _, pid := range parents {
		s.memory += pssOf(pid)
	}
	begin := time.Now()
	s.do(b, "reload", "worker")
	s.reload += time.Since(begin)
}

// parents are the processes that the workers hang from, and these's other children.
func (s *supervised) parents(b *testing.B, workers []string) []string {
	daemon := ""
	for pid := workers[0]; pid != "1"; {
		fields, err := statOf(pid)
		if err != nil {
			b.Fatal(err)
		}
		parent := fields[1]
		if cmdline, _ := os.ReadFile("/proc/" + parent + "/cmdline"); !strings.Contains(string(cmdline), "God Daemon") &&
			!strings.HasPrefix(string(cmdline), s.program+"\x00") {
			break
		}
		daemon, pid = parent, parent
	}
	if daemon == "" {
		b.Fatalf("%s: the workers hang from nobody", s.name)
	}
	parents := []string{daemon}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		b.Fatal(err)
	}
	for _, dir := range all {
		pid := filepath.Base(dir)
		if fields, err := statOf(pid); err != nil || fields[1] != daemon { // most are gone, or others'
			continue
		}
		if cmdline, _ := os.ReadFile(dir + "/cmdline"); strings.HasPrefix(string(cmdline), s.program+"\x00") {
			parents = append(parents, pid)
		}
	}
	return parents
}

// statOf are the fields of a process behind its name: state, parent, and so on.
func statOf(pid string) ([]string, error) {
	raw, err := os.ReadFile("/proc/" + pid + "/stat")
	return strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:])), err
}

// cpuOf is what processes have used, user and system, in ticks of 10 ms.
func cpuOf(b *testing.B, pids []string) (sum time.Duration) {
	for _, pid := range pids {
		fields, err := statOf(pid)
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range fields[11:13] {
			ticks, err := strconv.Atoi(f)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return sum
}

func pssOf(pid string) int64 {
	raw, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	return 0
}
