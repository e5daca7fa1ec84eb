//go:build e2e && linux

package pm2compare

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/processview"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// manager is PM2 or Sidereal, with a daemon and a home folder of its own.
type manager struct {
	name    string
	home    string   // of the user; PM2's or Sidereal's own is below
	own     string   // PM2_HOME or SIDEREAL_HOME
	command []string // its program
	env     []string
	list    func(*testing.T) []record // as its users see it
	look    func(*testing.T) []record // the same, in a cheap way
	remove  func(*testing.T, []record)
}

// record is a process in jlist.
type record struct {
	PID  int            `json:"pid"`
	Name string         `json:"name"`
	ID   int            `json:"pm_id"`
	Env  map[string]any `json:"pm2_env"`
}

func (r *record) status() string { s, _ := r.Env["status"].(string); return s }

// number returns a counter of the record; 0 if it isn't there.
func (r *record) number(field string) int { n, _ := r.Env[field].(float64); return int(n) }

// run runs a command of the manager to its end.
func (m *manager) run(t *testing.T, dir string, env []string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), m.command[0], append(m.command[1:], args...)...)
	cmd.Dir, cmd.Env = dir, append(append(cmd.Env, m.env...), env...)
	raw, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %v: %v", m.name, args, err)
	}
	return string(raw), cmd.ProcessState.ExitCode()
}

// environment is what a command sees, and hence its apps: the same for both but for the homes.
func environment(home string, more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8", "SHELL=/bin/bash", "TZ=UTC", "FROM_SHELL=yes"}, more...)
}

// startPM2 starts PM2's daemon. It ends with the test.
func startPM2(t *testing.T) *manager {
	t.Helper()
	node := testkit.Need(t, "node")
	home := t.TempDir()
	own := filepath.Join(home, ".pm2")
	if err := os.MkdirAll(own, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(own, "touch"), nil, 0o600); err != nil { // else it asks its makers for a newer version
		t.Fatal(err)
	}
	pm2 := filepath.Join(harness.Root(), "e2e", "node_modules", "pm2")
	m := &manager{name: "pm2", home: home, own: own, command: []string{node, filepath.Join(pm2, "bin", "pm2")}, env: environment(home, "PM2_HOME="+own)}
	t.Cleanup(func() { m.end(t) })
	ask := m.driver(t, node, pm2)
	m.list = func(t *testing.T) []record { t.Helper(); return ask(t, "list") }
	m.look = m.list
	m.remove = func(t *testing.T, list []record) {
		t.Helper()
		for _, r := range list {
			ask(t, "delete "+strconv.Itoa(r.ID))
		}
	}
	return m
}

// driver starts the daemon and a program that speaks with it. A command of PM2's takes long to start,
// and each look would need one.
func (m *manager) driver(t *testing.T, node, pm2 string) func(t *testing.T, question string) []record {
	t.Helper()
	cmd := exec.Command(node, filepath.Join(harness.Root(), "e2e", "pm2compare", "testdata", "driver.js"), pm2)
	cmd.Env, cmd.Stderr = m.env, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the driver: %v", err)
		}
	})
	lines := bufio.NewReader(out)
	if _, err := lines.ReadBytes('\n'); err != nil {
		t.Fatalf("pm2's daemon: %v", err)
	}
	var mu sync.Mutex // one question at a time
	return func(t *testing.T, question string) []record {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		var answer struct {
			List  []record
			Error string
		}
		_, err := io.WriteString(in, question+"\n")
		if err == nil {
			var line []byte
			if line, err = lines.ReadBytes('\n'); err == nil {
				err = json.Unmarshal(line, &answer)
			}
		}
		if err != nil || answer.Error != "" {
			t.Fatalf("pm2, %s: %v %s", question, err, answer.Error)
		}
		return answer.List
	}
}

// end has PM2 end its daemon, and makes sure that it did.
func (m *manager) end(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(m.own, "pm2.pid"))
	if err != nil {
		t.Errorf("pm2's daemon: %v", err)
		return
	}
	pid := number(string(raw))
	cmd := exec.Command(m.command[0], append(m.command[1:], "kill")...)
	cmd.Env = m.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("pm2 kill: %v\n%s", err, out)
	}
	for range 200 {
		if pid <= 1 || syscall.Kill(pid, 0) != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("pm2's daemon %d survived", pid)
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may end by itself meanwhile
}

// startSidereal makes a home for Sidereal. Its daemon starts with the first app, and ends with the test.
func startSidereal(t *testing.T) *manager {
	t.Helper()
	home := t.TempDir()
	own, err := os.MkdirTemp("", "sh") // short: unix addresses are
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "pm2") // called so, it reads PM2_HOME
	if err := os.Symlink(harness.Binary(), link); err != nil {
		t.Fatal(err)
	}
	m := &manager{name: "sidereal", home: home, own: own, command: []string{link},
		env: environment(home, "PM2_HOME="+own, "SIDEREAL_ADMIN_ADDR=off", "SIDEREAL_LOG_FORMAT=json")}
	m.list = func(t *testing.T) (list []record) {
		t.Helper()
		out, code := m.run(t, "", nil, "jlist")
		if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil {
			t.Fatalf("sidereal jlist: %d, %v\n%s", code, err, out)
		}
		return list
	}
	m.look = func(t *testing.T) []record { t.Helper(); return looked(t, daemon.Home(own)) }
	m.remove = func(t *testing.T, list []record) {
		t.Helper()
		args := []string{"delete"}
		for _, r := range list {
			args = append(args, strconv.Itoa(r.ID))
		}
		if out, code := m.run(t, "", nil, args...); code != 0 {
			t.Errorf("sidereal delete: %s", out)
		}
	}
	t.Cleanup(func() {
		cmd := exec.Command(m.command[0], "kill")
		cmd.Env = m.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("sidereal kill: %v\n%s", err, out)
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(own, "sidereal.log"))
			t.Logf("the daemon's log:\n%s", log)
		}
		if err := os.RemoveAll(own); err != nil {
			t.Error(err)
		}
	})
	return m
}

// looked returns what jlist prints, without a command. It is empty if no daemon runs.
func looked(t *testing.T, home daemon.Home) (list []record) {
	t.Helper()
	client, err := daemon.Connect(t.Context(), home)
	if errors.Is(err, daemon.ErrNotRunning) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	l, err := client.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := processview.JList(&text, l); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func number(s string) (n int) {
	for _, r := range strings.TrimSpace(s) {
		if r < '0' || r > '9' {
			return 0
		}
		n = n*10 + int(r-'0')
	}
	return n
}
