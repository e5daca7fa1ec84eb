package harness

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// lookAgain is the pause between two looks at a process from outside, where it offers nothing to
// wait on.
const lookAgain = 20 * time.Millisecond

// HostConfig says how a host is started.
type HostConfig struct {
	Name     string
	RedisURL string // empty: the embedded one
	Workers  int
	Addr     string   // public; empty: a free port
	App      []string // the program to run as workers; none: the demo
	Env      []string
}

// Host is one `sidereal up`, or a router alone.
type Host struct {
	*Process
	Addr  string // public host:port
	URL   string // of Addr
	Admin string // base URL of the operator's door
}

// `go test -cover` gives its children a folder for their counters that it removes: E2E_COVERDIR is
// the one to keep.
func init() {
	if dir := os.Getenv("E2E_COVERDIR"); dir != "" {
		_ = os.Setenv("GOCOVERDIR", dir) // fails on names that aren't names only
	}
}

// Binary is what `make build` made, or what E2E_BINARY names.
func Binary() string {
	return cmp.Or(os.Getenv("E2E_BINARY"), filepath.Join(Root(), "bin", "sidereal"))
}

// StartHost starts a host and waits until it is ready.
func StartHost(t testing.TB, c HostConfig) *Host {
	t.Helper()
	return startHost(t, c, append([]string{"up"}, c.App...))
}

// StartRouter starts a router alone and waits until it is ready.
func StartRouter(t testing.TB, c HostConfig) *Host {
	t.Helper()
	return startHost(t, c, []string{"router"})
}

func startHost(t testing.TB, c HostConfig, command []string) *Host {
	t.Helper()
	if c.Addr == "" {
		c.Addr = Loopback(t)
	}
	admin := Loopback(t)
	env := append([]string{
		"SIDEREAL_HOST_NAME=" + c.Name, "SIDEREAL_ADDR=" + c.Addr, "SIDEREAL_ADMIN_ADDR=" + admin,
		"SIDEREAL_REDIS_URL=" + c.RedisURL, "SIDEREAL_INSTANCES=" + strconv.Itoa(c.Workers),
		"SIDEREAL_SHUTDOWN_TIMEOUT=5s", "SIDEREAL_LOG_FORMAT=json",
	}, c.Env...)
	h := &Host{
		Process: Start(t, c.Name, "", env, Binary(), command...),
		Addr:    c.Addr, URL: "http://" + c.Addr, Admin: "http://" + admin,
	}
	h.await(t, "readiness", func() bool {
		status, err := h.get("/readyz", io.Discard)
		return err == nil && status == http.StatusOK
	})
	return h
}

// StartUp runs `sidereal up` without waiting for anything.
func StartUp(t testing.TB, env []string) *Process {
	t.Helper()
	return Start(t, "sidereal up", "", append([]string{"SIDEREAL_LOG_FORMAT=json"}, env...), Binary(), "up")
}

// Loopback is a free address of this machine.
func Loopback(t testing.TB) string { return fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t)) }

// Child is a process of a host.
type Child struct {
	Name   string
	PID    int
	Worker string
}

// Children are the host's processes.
func (h *Host) Children(t testing.TB) []Child {
	t.Helper()
	reader, writer := io.Pipe()
	go func() {
		_, err := h.get("/status", writer)
		writer.CloseWithError(err)
	}()
	var status struct{ Processes []Child }
	if err := json.NewDecoder(reader).Decode(&status); err != nil {
		t.Fatalf("status of %s: %v", h.Name, err)
	}
	return status.Processes
}

// Child is the process of that name, such as `router`.
func (h *Host) Child(t testing.TB, name string) Child {
	t.Helper()
	return h.child(t, name, func(c Child) bool { return c.Name == name })
}

// Worker is the process that is the worker of that id.
func (h *Host) Worker(t testing.TB, id string) Child {
	t.Helper()
	return h.child(t, "worker "+id, func(c Child) bool { return c.Worker == id })
}

func (h *Host) child(t testing.TB, what string, is func(Child) bool) Child {
	t.Helper()
	for _, c := range h.Children(t) {
		if is(c) && c.PID > 0 {
			return c
		}
	}
	t.Fatalf("%s has no %s", h.Name, what)
	return Child{}
}

// AwaitWorkers waits until every process of the host that keeps the table of workers has n ready
// ones in it, listed upstreams included.
func (h *Host) AwaitWorkers(t testing.TB, n int) {
	t.Helper()
	h.await(t, fmt.Sprintf("%d ready workers", n), func() bool {
		return h.all(`sidereal_directory_workers`, `state="ready"`, func(v float64) bool { return int(v) == n })
	})
}

// AwaitRedis waits until every process of the host has found Redis up or down.
func (h *Host) AwaitRedis(t testing.TB, up bool) {
	t.Helper()
	h.await(t, fmt.Sprintf("Redis up: %t", up), func() bool {
		return h.all(`sidereal_redis_up`, ``, func(v float64) bool { return (v == 1) == up })
	})
}

// Sessions is the number of Engine.IO sessions on the host's workers.
func (h *Host) Sessions() (sum int) {
	h.all(`sidereal_engine_sessions`, ``, func(v float64) bool { sum += int(v); return true })
	return sum
}

// AwaitSessions waits until the hosts have n sessions together.
func AwaitSessions(t testing.TB, n int, hosts ...*Host) {
	t.Helper()
	hosts[0].await(t, fmt.Sprintf("%d sessions", n), func() bool {
		sum := 0
		for _, h := range hosts {
			sum += h.Sessions()
		}
		return sum == n
	})
}

// all reports whether the host shows samples of a metric with that label, and all of them pass.
func (h *Host) all(metric, label string, pass func(float64) bool) bool {
	found, ok := false, true
	for name, value := range h.Metrics() {
		if base, labels, _ := strings.Cut(name, "{"); base == metric && strings.Contains(labels, label) {
			found = true
			ok = pass(value) && ok
		}
	}
	return found && ok
}

// Metrics are the samples that the host shows, by name and labels as Prometheus writes them; none
// when it does not answer.
func (h *Host) Metrics() map[string]float64 {
	var text strings.Builder
	all := map[string]float64{}
	if status, err := h.get("/metrics", &text); err != nil || status != http.StatusOK {
		return all
	}
	for scanner := bufio.NewScanner(strings.NewReader(text.String())); scanner.Scan(); {
		line := scanner.Text()
		if i := strings.LastIndexByte(line, ' '); i > 0 && !strings.HasPrefix(line, "#") {
			if v, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
				all[line[:i]] = v
			}
		}
	}
	return all
}

func (h *Host) get(path string, into io.Writer) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Admin+path, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(into, response.Body)
	return response.StatusCode, err
}

// AdminAddr is the address of the operator's door.
func (h *Host) AdminAddr() string { return strings.TrimPrefix(h.Admin, "http://") }

// Ask decodes what a page of the operator's door answers.
func (h *Host) Ask(t testing.TB, path string, into any) {
	t.Helper()
	var body bytes.Buffer
	status, err := h.get(path, &body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", status, &body)
	}
	if err == nil {
		err = json.Unmarshal(body.Bytes(), into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// await looks again and again until cond holds. A host that ended fails the test at once.
func (h *Host) await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for end := time.Now().Add(Patience); !cond(); {
		select {
		case <-h.done:
			t.Fatalf("%s ended while waiting for %s", h.Name, what)
		case now := <-tick.C:
			if now.After(end) {
				t.Fatalf("%s: waited %v for %s", h.Name, Patience, what)
			}
		}
	}
}

// AwaitEnd waits until no process has that pid.
func AwaitEnd(t testing.TB, pid int) {
	t.Helper()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for end := time.Now().Add(Patience); !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH); {
		if now := <-tick.C; now.After(end) {
			t.Fatalf("process %d still lives", pid)
		}
	}
}

// Get makes one request and returns its status and body.
func Get(ctx context.Context, t testing.TB, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// Contains matches lines with that text.
func Contains(text string) func(string) bool {
	return func(line string) bool { return strings.Contains(line, text) }
}
