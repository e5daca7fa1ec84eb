package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// here is this machine's platform.
func here(t *testing.T) npmPlatform {
	t.Helper()
	p, ok := npmPlatforms[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		t.Skipf("no package for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	return p
}

// modules is a node_modules with sidereal and the packages of some platforms.
type modules struct {
	t    *testing.T
	node string
	dir  string
}

func install(t *testing.T, platforms ...string) modules {
	t.Helper()
	m := modules{t, need(t, "node"), filepath.Join(t.TempDir(), "node_modules")}
	r := packed(t, append([]string{"linux/amd64"}, platforms...)...)
	untar(t, r.read(t, "npm/sidereal-"+version+".tgz"), filepath.Join(m.dir, "sidereal"))
	for _, platform := range platforms {
		p := npmPlatforms[platform]
		untar(t, r.read(t, "npm/sidereal-io-"+p.os+"-"+p.cpu+"-"+version+".tgz"), m.platform(p))
	}
	return m
}

func (m modules) platform(p npmPlatform) string { return filepath.Join(m.dir, p.name()) }

// command is `npx sidereal args...`, after what npx does.
func (m modules) command(args ...string) *exec.Cmd {
	return exec.CommandContext(m.t.Context(), m.node, append([]string{filepath.Join(m.dir, "sidereal", "bin", "sidereal.js")}, args...)...)
}

func thisPlatform() string { return runtime.GOOS + "/" + runtime.GOARCH }

func TestManifests(t *testing.T) {
	here(t)
	m := install(t, thisPlatform())
	decode := func(dir string) (out manifest) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, "package.json"))
		if err == nil {
			err = json.Unmarshal(text, &out)
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `"scripts"`) {
			t.Errorf("%s has scripts", out.Name)
		}
		return out
	}
	if main := decode(filepath.Join(m.dir, "sidereal")); main.Version != version || len(main.OptionalDependencies) != 4 ||
		main.OptionalDependencies["@sidereal-io/darwin-arm64"] != version || main.Bin["sidereal"] != "bin/sidereal.js" {
		t.Errorf("%+v", main)
	}
	p := here(t)
	if got := decode(m.platform(p)); got.Name != p.name() || got.Version != version || got.OS[0] != p.os || got.CPU[0] != p.cpu || got.Bin != nil {
		t.Errorf("%+v", got)
	}
	if info, err := os.Stat(filepath.Join(m.platform(p), "bin", "sidereal")); err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Errorf("%v %v", info, err)
	}
}

// TestLauncherPassesThrough: arguments, streams and the exit code.
func TestLauncherPassesThrough(t *testing.T) {
	here(t)
	cmd := install(t, thisPlatform()).command("echo", "a b", "", "--flag=$HOME", "-x", "ü")
	var told strings.Builder
	cmd.Stdin, cmd.Stderr = strings.NewReader("from stdin"), &told
	out, err := cmd.Output()
	if want := `{"args":["a b","","--flag=$HOME","-x","ü"],"launcher":true}` + "\n"; string(out) != want {
		t.Errorf("%s, want %s", out, want)
	}
	if told.String() != "from stdin" {
		t.Errorf("standard error: %q", told.String())
	}
	if cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("%v, want 7", err)
	}
}

// TestLauncherEndsAsTheProgram: a signal that ends the program ends the launcher.
func TestLauncherEndsAsTheProgram(t *testing.T) {
	here(t)
	m := install(t, thisPlatform())
	for _, s := range []struct {
		name   string
		signal syscall.Signal
	}{{"SIGKILL", syscall.SIGKILL}, {"SIGTERM", syscall.SIGTERM}, {"SIGINT", syscall.SIGINT}} {
		cmd := m.command("end", s.name)
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != s.signal {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

// TestLauncherPassesSignals on, and waits for the program.
func TestLauncherPassesSignals(t *testing.T) {
	here(t)
	cmd := install(t, thisPlatform()).command("signals")
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
	lines := bufio.NewReader(out)
	want := func(line string) {
		t.Helper()
		if got, err := lines.ReadString('\n'); got != line+"\n" {
			t.Fatalf("%q (%v), want %q", got, err, line)
		}
	}
	want("ready")
	for _, s := range []struct {
		name   string
		signal syscall.Signal
	}{
		{"SIGINT", syscall.SIGINT}, {"SIGTERM", syscall.SIGTERM}, {"SIGHUP", syscall.SIGHUP},
		{"SIGQUIT", syscall.SIGQUIT}, {"SIGUSR1", syscall.SIGUSR1}, {"SIGUSR2", syscall.SIGUSR2},
	} {
		if err := cmd.Process.Signal(s.signal); err != nil {
			t.Fatal(err)
		}
		want(s.name)
	}
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Error(err)
	}
}

// TestLauncherSaysWhy nothing can run, and what to do.
func TestLauncherSaysWhy(t *testing.T) {
	p := here(t)
	other := "darwin/arm64"
	if thisPlatform() == other {
		other = "linux/amd64"
	}
	for name, c := range map[string]struct {
		platforms []string
		change    func(m modules) error
		preload   string // what Node runs first
		code      int
		want      []string
	}{
		"without optional dependencies": {nil, nil, "", 127,
			[]string{"the package " + p.name() + " is missing", "--omit=optional", "npm install " + p.name() + "@" + version}},
		"installed on another platform": {[]string{other}, nil, "", 127, []string{"node_modules has " + npmPlatforms[other].name() + " and not " + p.name()}},
		"a platform without binaries": {[]string{thisPlatform()}, nil, `Object.defineProperty(process, "platform", { value: "win32" })`, 127,
			[]string{"there is no binary for win32 " + p.cpu, "darwin-arm64, darwin-x64, linux-arm64, linux-x64", homepage}},
		"not executable": {[]string{thisPlatform()}, func(m modules) error {
			return os.Chmod(filepath.Join(m.platform(p), "bin", "sidereal"), 0o644)
		}, "", 126, []string{"bin/sidereal isn't executable", "chmod +x "}},
		"without the binary": {[]string{thisPlatform()}, func(m modules) error {
			return os.Remove(filepath.Join(m.platform(p), "bin", "sidereal"))
		}, "", 127, []string{"bin/sidereal is missing", "install the package again"}},
		"another version": {[]string{thisPlatform()}, func(m modules) error {
			path := filepath.Join(m.platform(p), "package.json")
			text, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, []byte(strings.Replace(string(text), version, "1.0.0", 1)), 0o644))
		}, "", 127, []string{p.name() + " is version 1.0.0, and sidereal is version " + version, "npm install "}},
	} {
		t.Run(name, func(t *testing.T) {
			m := install(t, c.platforms...)
			if c.change != nil {
				if err := c.change(m); err != nil {
					t.Fatal(err)
				}
			}
			cmd := m.command("echo")
			if c.preload != "" {
				preload := filepath.Join(t.TempDir(), "preload.js")
				if err := os.WriteFile(preload, []byte(c.preload), 0o644); err != nil {
					t.Fatal(err)
				}
				cmd.Args = append([]string{m.node, "--require", preload}, cmd.Args[1:]...)
			}
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = io.Discard, &out
			err := cmd.Run()
			if cmd.ProcessState.ExitCode() != c.code {
				t.Errorf("%v, want exit code %d", err, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in: %s", want, out.String())
				}
			}
			for line := range strings.Lines(out.String()) {
				if !strings.HasPrefix(line, "sidereal: ") {
					t.Errorf("a line of Node's: %s", line)
				}
			}
		})
	}
}
