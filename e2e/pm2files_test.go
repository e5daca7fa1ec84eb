//go:build e2e && linux

package e2e

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// folder writes the files of an app, by name, into a folder of its own.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestCleanedTemporaryFolder: programs that clean folders for temporary files remove regular files
// that nobody has read for days, whoever needs them.
func TestCleanedTemporaryFolder(t *testing.T) {
	temp := t.TempDir()
	b := newBackground(t, "TMPDIR="+temp, "SIDEREAL_ADDR="+harness.Loopback(t))
	dir := folder(t, map[string]string{"worker.js": "setInterval(() => {}, 1000); process.send('ready');\n"})
	b.must(dir, "start", "worker.js", "--name", "forked", "--wait-ready")
	b.must(dir, "start", "worker.js", "--name", "clustered", "-i", "2", "--wait-ready")
	for _, clean := range []string{temp, filepath.Join(string(b.home), "run")} { // nobody should come to the second
		err := filepath.WalkDir(clean, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				err = os.Remove(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b.must(dir, "restart", "all")
		b.must(dir, "reload", "all")
	}
	for _, p := range b.list().Processes {
		if p.Status != "online" || p.Unstable != 0 {
			t.Errorf("%s is %s after %d unstable ends", p.Name, p.Status, p.Unstable)
		}
	}
}

// pids returns the process ids of the list, by the processes' names.
func (b *background) pids() map[string][]int {
	b.t.Helper()
	pids := map[string][]int{}
	for _, p := range b.list().Processes {
		pids[p.Name] = append(pids[p.Name], p.PID)
	}
	return pids
}

const quietFile = `module.exports = { apps: [
  { name: "clustered", script: "bot.js", instances: 2, listen_timeout: 400 },
  { name: "forgets", script: "bot.js", wait_ready: true, listen_timeout: 400 },
  { name: "clustered-forgets", script: "bot.js", instances: 1, wait_ready: true, listen_timeout: 400 },
] };
`

// TestReloadOfAppsThatNeverListen: bots and queue workers have nothing to show but that they live.
func TestReloadOfAppsThatNeverListen(t *testing.T) {
	b := newBackground(t, "SIDEREAL_ADDR="+harness.Loopback(t))
	dir := folder(t, map[string]string{"bot.js": "setInterval(() => {}, 1000);\n", "ecosystem.config.js": quietFile})
	b.must(dir, "start")
	before := b.pids()
	b.must(dir, "reload", "all")
	after := b.pids()
	for name := range before {
		for i, pid := range after[name] {
			if slices.Contains(before[name], pid) {
				t.Errorf("process %d of %s is still the old one", i, name)
			}
		}
	}
	for name, text := range map[string]string{
		"bot.js":              "throw new Error('broken');\n",
		"ecosystem.config.js": strings.ReplaceAll(quietFile, "400", "60000"), // however long a busy machine takes to read bot.js
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := b.sidereal(dir, "reload", "ecosystem.config.js", "--only", "clustered"); err == nil {
		t.Errorf("a broken bot was taken as ready:\n%s", out)
	}
	if now := b.pids()["clustered"]; !slices.Equal(now, after["clustered"]) {
		t.Errorf("%v run, not %v", now, after["clustered"])
	}
}

const waitFile = `module.exports = { apps: [
  { name: "bot", script: "bot.js", instances: 2 },
  { name: "module", script: "bot.mjs", instances: 1 },
  { name: "api", script: "api.js", instances: 1 },
].map((app) => ({ ...app, listen_timeout: 600000 })) };
`

// TestStartAwaitsOnlyServers: an app without a server is ready once its code has run.
func TestStartAwaitsOnlyServers(t *testing.T) {
	addr := harness.Loopback(t)
	host, port, _ := strings.Cut(addr, ":")
	b := newBackground(t, "API_PORT="+port, "API_HOST="+host)
	dir := folder(t, map[string]string{
		"bot.js":              "setInterval(() => {}, 1000);\n",
		"bot.mjs":             "import \"./bot.js\";\nawait new Promise((resolve) => setTimeout(resolve, 10));\n",
		"api.js":              "const api = require(\"http\").createServer((_, res) => res.end(\"here\"));\nsetTimeout(() => api.listen(process.env.API_PORT, process.env.API_HOST), 400);\n",
		"ecosystem.config.js": waitFile,
	})
	b.must(dir, "start")
	for _, p := range b.list().Processes {
		if p.Status != "online" {
			t.Errorf("%s is %s", p.Name, p.Status)
		}
	}
	if resp, err := http.Get("http://" + addr); err != nil {
		t.Errorf("start has returned before the server listens: %v", err)
	} else {
		resp.Body.Close()
	}
}

const npmApp = `const server = require("http").createServer((_, res) => res.end(String(process.pid)));
server.listen(process.env.APP_PORT, "127.0.0.1");
`

// TestNpmScripts: npm starts the app in a process of its own. Two of them can't have one port.
func TestNpmScripts(t *testing.T) {
	addr := harness.Loopback(t)
	_, port, _ := strings.Cut(addr, ":")
	b := newBackground(t, "APP_PORT="+port)
	dir := folder(t, map[string]string{
		"app.js":              npmApp,
		"package.json":        `{"scripts": {"start": "node app.js"}}`,
		"ecosystem.config.js": `module.exports = { apps: [{ name: "api", script: "npm", args: "start", instances: 1 }] };`,
	})
	b.must(dir, "start")
	first := answer200(t, addr)
	b.must(dir, "reload", "all")
	second := answer200(t, addr)
	if first == second {
		t.Errorf("process %s still answers", first)
	}
	b.must(dir, "restart", "all")
	if third := answer200(t, addr); third == second {
		t.Errorf("process %s still answers", second)
	}
	for _, p := range b.list().Processes {
		if p.Status != "online" || p.Unstable != 0 {
			t.Errorf("%s is %s after %d unstable ends", p.Name, p.Status, p.Unstable)
		}
	}
}

// answer200 returns what a server answers once it listens.
func answer200(t *testing.T, addr string) (body string) {
	t.Helper()
	testkit.Until(t, "an answer of "+addr, func() bool {
		resp, err := http.Get("http://" + addr)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		body = string(raw)
		return err == nil && resp.StatusCode == http.StatusOK
	})
	return body
}

const mixedFile = `module.exports = { apps: [
  { name: "a-broken", script: "broken.js", max_restarts: 2, instances: 1, listen_timeout: 60000 },
  { name: "b-good", script: "good.js", instances: 1, listen_timeout: 400 },
] };
`

// TestBrokenAppDoesNotStopTheOthers: of all apps that a command renews, each gets its turn.
func TestBrokenAppDoesNotStopTheOthers(t *testing.T) {
	b := newBackground(t, "SIDEREAL_ADDR="+harness.Loopback(t))
	const good = "require('http').createServer().listen(0);\n"
	dir := folder(t, map[string]string{"good.js": good, "broken.js": good, "ecosystem.config.js": mixedFile})
	b.must(dir, "start")
	if err := os.WriteFile(filepath.Join(dir, "broken.js"), []byte("process.exit(1);\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"reload", "all"}, {"reload", "all", "--update-env"}, {"restart", "all", "--update-env"}, {"restart", "all"}} {
		before := b.pids()["b-good"]
		out, err := b.sidereal(dir, command...)
		if err == nil {
			t.Errorf("%v says nothing of the broken app:\n%s", command, out)
		}
		if after := b.pids()["b-good"]; slices.Equal(before, after) {
			t.Errorf("%v left the good app on its old code:\n%s", command, out)
		}
	}
}

const familyFile = `module.exports = { apps: [
  { name: "npm", script: "npm", args: "start", kill_timeout: 600000 },
  { name: "shell", script: "node stubborn.js shell", kill_timeout: 600000 },
  { name: "double", script: "double.sh", kill_timeout: 600000 },
] };
`

// stubborn ignores what npm, shells and supervisors send, and writes its pid into a file of its
// name.
const stubborn = `for (const s of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(s, () => {});
require("fs").writeFileSync(process.argv[2] + ".new", String(process.pid));
require("fs").renameSync(process.argv[2] + ".new", process.argv[2] + ".pid");
setInterval(() => {}, 1000);
`

// double forks twice, into a session and an environment of its own, as daemons do.
const double = `#!/bin/sh
( env -i PATH="$PATH" setsid node stubborn.js double & )
exec sleep 1000
`

// TestNothingOutlivesTheDaemon: npm starts a shell that starts Node, and daemons fork twice. The
// kernel kills none of these with the daemon.
func TestNothingOutlivesTheDaemon(t *testing.T) {
	dir := folder(t, map[string]string{
		"ecosystem.config.js": familyFile, "stubborn.js": stubborn, "double.sh": double,
		"package.json": `{"scripts": {"start": "node stubborn.js npm"}}`,
	})
	family := func(t *testing.T) (pids []int) {
		t.Helper()
		for _, name := range []string{"npm", "shell", "double"} {
			path := filepath.Join(dir, name+".pid")
			testkit.Until(t, "the pid of "+name, func() bool { _, err := os.Stat(path); return err == nil })
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(string(raw))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		return pids
	}
	for name, pick := range map[string]func(*background) int{
		"the daemon is killed":   (*background).pid,
		"its guardian is killed": func(b *background) int { return procStatus(b.t, b.pid())["PPid"] },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackground(t)
			b.must(dir, "start")
			pids := family(t)
			harness.KillPID(t, pick(b))
			for _, pid := range pids {
				harness.AwaitEnd(t, pid)
			}
		})
	}
	for name, signals := range map[string][]os.Signal{
		"the foreground is killed": {syscall.SIGKILL},
		"a second SIGINT":          {os.Interrupt, os.Interrupt},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackground(t)
			cmd := exec.Command(harness.Binary(), "start", "--no-daemon", "ecosystem.config.js")
			cmd.Dir, cmd.Env = dir, append(os.Environ(), b.env...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			pids := family(t)
			for i, s := range signals {
				if i > 0 { // signals of one kind that wait become one
					b.eventually("the first one heard", func(l daemon.Listing) bool { return l.Processes[0].Status == daemon.Stopping })
				}
				if err := cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			for _, pid := range pids {
				harness.AwaitEnd(t, pid)
			}
			if err := <-ended; err == nil {
				t.Error("the exit code says that all is well")
			}
		})
	}
}

const envFile = `process.env.FROM_FILE = "set";
delete process.env.DROPPED;
module.exports = { apps: [{ name: "api", script: ".", instances: 1, wait_ready: true, listen_timeout: 600000 }] };
`

const envApp = `process.send({ hello: 1, f() {} }); // JSON leaves functions out
require("fs").writeFileSync("env", process.env.FROM_FILE + " " + process.env.DROPPED);
process.send("ready");
setInterval(() => {}, 1000);
`

// TestProcessFileChangesTheEnvironment: files load .env with dotenv, and apps get it.
func TestProcessFileChangesTheEnvironment(t *testing.T) {
	b := newBackground(t, "DROPPED=here", "SIDEREAL_ADDR="+harness.Loopback(t))
	dir := folder(t, map[string]string{"ecosystem.config.js": envFile, "index.js": envApp})
	b.must(dir, "start")
	if raw, err := os.ReadFile(filepath.Join(dir, "env")); err != nil || string(raw) != "set undefined" {
		t.Errorf("%q, %v", raw, err)
	}
	if p := b.list().Processes[0]; p.Status != daemon.Online || p.Unstable != 0 {
		t.Errorf("%+v", p)
	}
}
