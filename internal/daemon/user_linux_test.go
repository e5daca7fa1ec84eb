package daemon

import (
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/pm2"
)

// forAll puts the test binary where every user may execute it: the services run as their app does.
func forAll(t *testing.T) (program string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sidereal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	program = filepath.Join(dir, "sidereal")
	to, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return program
}

// Processes of an app with a uid or gid run as those, with nothing of root's, and so do the
// services around them.
func TestProcessesRunAsTheirUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may run processes as others")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	group, err := user.LookupGroupId("1")
	if err != nil {
		t.Skip(err)
	}
	program := forAll(t)
	r := runDaemon(t, func(c *Config) { c.Program = []string{program} })
	shell := func(name string, change func(*pm2.App)) pm2.App {
		a := app(t, name, "")
		a.Script, a.Cwd, a.Autorestart = "/bin/sh", "/", false
		a.Args = []string{"-c", `echo "$(id -u) $(id -g) $(id -G) $HOME"`}
		a.Env["HOME"] = "/of/the/shell"
		change(&a)
		return a
	}
	r.must(r.start(StartNew,
		shell("user", func(a *pm2.App) { a.UID = "nobody" }),
		shell("both", func(a *pm2.App) { a.UID, a.GID = nobody.Uid, group.Name }),
		shell("group", func(a *pm2.App) { a.GID = group.Gid }),
		shell("none", func(*pm2.App) {})))
	want := map[string]string{
		"user":  strings.Join([]string{nobody.Uid, nobody.Gid, nobody.Gid, nobody.HomeDir}, " "),
		"both":  strings.Join([]string{nobody.Uid, group.Gid, group.Gid, nobody.HomeDir}, " "),
		"group": strings.Join([]string{"0", group.Gid, group.Gid, "/of/the/shell"}, " "),
	}
	for _, p := range r.list().Processes {
		if line := fileEventually(t, p.OutFile, "\n"); p.Name != "none" && line != want[p.Name]+"\n" {
			t.Errorf("%s: %q, want %q", p.Name, line, want[p.Name])
		}
	}
	_, err = r.start(StartNew, shell("ghost", func(a *pm2.App) { a.UID = "nobody-of-that-name" }))
	fails(t, err, 2, "ghost: uid must be a user of this host")
	_, err = r.start(StartNew, shell("ghosts", func(a *pm2.App) { a.GID = "no-group-of-that-name" }))
	fails(t, err, 2, "ghosts: gid must be a group of this host")
}
