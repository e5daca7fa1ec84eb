//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// packages are those of this machine's platform, made from the binary of `make build`.
type packages struct {
	dir     string
	version string // of the packages
	said    string // by the binary's `sidereal version`
}

// pack makes the packages, with little compression.
func pack(t *testing.T) packages {
	t.Helper()
	p := packages{dir: t.TempDir(), said: run(t, "", nil, harness.Binary(), "version")}
	checkout := map[string]string{}
	for line := range strings.Lines(run(t, harness.Root(), nil, filepath.Join(harness.Root(), "scripts", "version.sh"))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		checkout[name] = value
	}
	p.version = checkout["version"]
	if os.Getenv("E2E_BINARY") == "" && checkout["commit"] != "" && !strings.Contains(p.said, "(commit ") {
		t.Errorf("no commit and date in %s", p.said)
	}
	tool := filepath.Join(t.TempDir(), "pack")
	run(t, filepath.Join(harness.Root(), "tools", "pack"), nil, "go", "build", "-o", tool, ".")
	run(t, harness.Root(), nil, tool, "-version", p.version, "-root", ".", "-out", p.dir, "-level", "1", runtime.GOOS+"/"+runtime.GOARCH+"="+harness.Binary())
	return p
}

// one returns the only file for a pattern.
func (p packages) one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(p.dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q %v", pattern, found, err)
	}
	return found[0]
}

// run runs a program to its end, and returns its output.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestPackages installs the packages as their users do, on an empty machine without a network.
func TestPackages(t *testing.T) {
	p := pack(t)
	t.Run("npm", p.testNPM)
	t.Run("deb", p.testDebian)
}

// testNPM: npx starts a daemon, which outlives npx and all of node_modules.
func (p packages) testNPM(t *testing.T) {
	testkit.Need(t, "npx")
	home, dir := t.TempDir(), t.TempDir()
	addr := harness.Loopback(t)
	npm := []string{"HOME=" + home, "npm_config_cache=" + filepath.Join(home, "cache"), "npm_config_offline=true", "npm_config_audit=false",
		"npm_config_fund=false", "npm_config_update_notifier=false", "npm_config_userconfig=" + filepath.Join(home, "npmrc"), "CI=1"}
	run(t, dir, npm, "npm", "install", "--prefix", dir, "--ignore-scripts", p.one(t, "npm/sidereal-[0-9]*.tgz"), p.one(t, "npm/sidereal-io-*.tgz"))

	b := newBackground(t, append(npm, "PORT="+addr[strings.LastIndex(addr, ":")+1:])...)
	npx := func(args ...string) string {
		t.Helper()
		return run(t, dir, b.env, "npx", append([]string{"--no-install", "sidereal"}, args...)...)
	}
	if said := npx("version"); said != p.said {
		t.Errorf("npx sidereal version: %s, want %s", said, p.said)
	}
	server := `const { Server } = require(` + "`" + filepath.Join(harness.Root(), "e2e", "node_modules", "socket.io") + "`" + `);
const io = new Server();
io.on("connection", (socket) => socket.on("echo", (value, ack) => ack(value)));
io.listen(process.env.PORT);
`
	if err := os.WriteFile(filepath.Join(dir, "server.js"), []byte(server), 0o600); err != nil {
		t.Fatal(err)
	}
	npx("start", "server.js", "-i", "2")
	node := harness.StartNode(t)
	echoes := func(name string) {
		t.Helper()
		node.Must("connect", args{"name": name, "url": "http://" + addr}, nil)
		var got string
		if node.Must("ask", args{"name": name, "event": "echo", "args": []any{name}}, &got); got != name {
			t.Errorf("%s: %s came back", name, got)
		}
	}
	echoes("first")

	// npm removes everything, as `npm ci` does and the cleaning of npx's cache, and the router dies.
	gone := filepath.Join(dir, "gone")
	if err := os.Rename(filepath.Join(dir, "node_modules"), gone); err != nil {
		t.Fatal(err)
	}
	router := func(l daemon.Listing) (pid int) {
		for _, s := range l.Apps["server"].Services {
			if strings.HasSuffix(s.Name, "router") {
				pid = s.PID
			}
		}
		return pid
	}
	before := router(b.list())
	if before == 0 {
		t.Fatalf("no router: %+v", b.list().Apps)
	}
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.eventually("a new router", func(l daemon.Listing) bool { pid := router(l); return pid != 0 && pid != before })
	echoes("second")
	if err := os.Rename(gone, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	npx("delete", "server")
	if left := b.list().Processes; len(left) > 0 {
		t.Errorf("left: %+v", left)
	}
	npx("kill")
}

// testDebian installs the package in an empty root, runs the binary from there, and purges it.
func (p packages) testDebian(t *testing.T) {
	testkit.Need(t, "dpkg")
	if os.Getuid() != 0 {
		t.Skip("dpkg --root needs root")
	}
	root := t.TempDir()
	for _, name := range []string{"info", "updates", "status"} {
		path := filepath.Join(root, "var", "lib", "dpkg", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if name == "status" {
			err = os.WriteFile(path, nil, 0o644)
		} else {
			err = os.Mkdir(path, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	dpkg := func(args ...string) string {
		t.Helper()
		return run(t, root, nil, "dpkg", append([]string{"--root=" + root, "--force-script-chrootless", "--log=/dev/null"}, args...)...)
	}
	install := func() { dpkg("--force-architecture", "--install", p.one(t, "sidereal_*.deb")) }
	install()
	program := filepath.Join(root, "usr", "bin", "sidereal")
	if said := run(t, root, nil, program, "version"); said != p.said {
		t.Errorf("the installed program says %s, want %s", said, p.said)
	}
	if said, deb := dpkg("--status", "sidereal"), strings.Replace(p.version, "-", "~", 1); !strings.Contains(said, "\nVersion: "+deb+"-1\n") {
		t.Errorf("want version %s-1 of:\n%s", deb, said)
	}
	p.serves(t, program)

	// An operator's settings survive an upgrade and a removal, and a purge leaves nothing.
	settings := filepath.Join(root, "etc", "sidereal", "sidereal.env")
	if err := os.WriteFile(settings, []byte("PROGRAM=/srv/chat\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	install()
	dpkg("--remove", "sidereal")
	if text, err := os.ReadFile(settings); err != nil || string(text) != "PROGRAM=/srv/chat\n" {
		t.Errorf("the settings are %q after a removal (%v)", text, err)
	}
	dpkg("--purge", "sidereal")
	for _, path := range []string{settings, filepath.Dir(settings), program, filepath.Join(root, "usr", "share", "doc", "sidereal")} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is there after a purge (%v)", path, err)
		}
	}
}

// serves: the program, far from any node_modules, serves the client that it embeds, and its
// workers have its version.
func (p packages) serves(t *testing.T, program string) {
	t.Helper()
	dir := t.TempDir()
	addr, admin := harness.Loopback(t), harness.Loopback(t)
	up := harness.Start(t, "up", dir, []string{"SIDEREAL_ADDR=" + addr, "SIDEREAL_ADMIN_ADDR=" + admin, "SIDEREAL_INSTANCES=1", "SIDEREAL_REDIS_URL="}, program, "up")
	var client []byte
	testkit.Until(t, "the client at "+addr, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/socket.io/socket.io.js", nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		defer got.Body.Close()
		client, err = io.ReadAll(got.Body)
		return err == nil && got.StatusCode == http.StatusOK
	})
	want, err := os.ReadFile(filepath.Join(harness.Root(), "e2e", "node_modules", "socket.io-client", "dist", "socket.io.js"))
	if err != nil || !bytes.Equal(client, want) {
		t.Errorf("%d bytes of the client, want %d (%v)", len(client), len(want), err)
	}
	var seen struct {
		Hosts []struct{ Versions []string }
	}
	said := run(t, dir, nil, program, "cluster", "--json", "--admin-addr", admin)
	if err := json.Unmarshal([]byte(said), &seen); err != nil || len(seen.Hosts) != 1 || !slices.Equal(seen.Hosts[0].Versions, []string{strings.Fields(p.said)[1]}) {
		t.Errorf("want the version of %s for all processes (%v):\n%s", p.said, err, said)
	}
	up.Stop(t)
}
