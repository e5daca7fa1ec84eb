package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const version = "1.2.3-rc.1"

// program stands in for the binary: it says what reaches it.
const program = `#!/usr/bin/env node
const [command, ...args] = process.argv.slice(2);
switch (command) {
case "echo":
  console.log(JSON.stringify({ args, launcher: process.env.NPM_LAUNCHER_PID === String(process.ppid) }));
  process.stdin.pipe(process.stderr);
  process.stdin.on("end", () => { process.exitCode = 7; });
  break;
case "end":
  process.kill(process.pid, args[0]);
  setInterval(() => {}, 1000);
  break;
case "signals":
  for (const s of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) process.on(s, () => console.log(s));
  process.stdin.on("end", () => process.exit(0)).resume();
  console.log("ready");
}
`

// packed makes the packages of a release with the program above.
func packed(t *testing.T, platforms ...string) release {
	t.Helper()
	dir := t.TempDir()
	r := release{version: version, date: time.Date(2026, 11, 21, 10, 36, 2, 0, time.UTC), root: "../..", out: filepath.Join(dir, "dist"), level: 6}
	path := filepath.Join(dir, "program")
	if err := os.WriteFile(path, []byte(program), 0o644); err != nil { // its mode doesn't count
		t.Fatal(err)
	}
	var args []string
	for _, platform := range platforms {
		args = append(args, platform+"="+path)
	}
	if err := r.run(r.date.Format(time.RFC3339), args); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r release) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.out, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestNamesAndBytes: the names are those of each package manager, and a second run makes the same
// bytes.
func TestNamesAndBytes(t *testing.T) {
	all := slices.Collect(maps.Keys(npmPlatforms))
	first, second := packed(t, all...), packed(t, all...)
	var names []string
	err := filepath.WalkDir(first.out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(first.out, path)
		names = append(names, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"npm/sidereal-1.2.3-rc.1.tgz",
		"npm/sidereal-io-darwin-arm64-1.2.3-rc.1.tgz", "npm/sidereal-io-darwin-x64-1.2.3-rc.1.tgz",
		"npm/sidereal-io-linux-arm64-1.2.3-rc.1.tgz", "npm/sidereal-io-linux-x64-1.2.3-rc.1.tgz",
		"sidereal-1.2.3~rc.1-1.aarch64.rpm", "sidereal-1.2.3~rc.1-1.x86_64.rpm",
		"sidereal_1.2.3~rc.1-1_amd64.deb", "sidereal_1.2.3~rc.1-1_arm64.deb",
	}
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Fatalf("%q, want %q", names, want)
	}
	for _, name := range names {
		if !bytes.Equal(first.read(t, name), second.read(t, name)) {
			t.Errorf("%s has other bytes the second time", name)
		}
	}
}

func TestWrongArguments(t *testing.T) {
	for want, run := range map[string]func(r *release) error{
		"needs -version":  func(r *release) error { r.version = ""; return r.run("", []string{"linux/amd64=x"}) },
		"at least one":    func(r *release) error { return r.run("", nil) },
		"windows/amd64=x": func(r *release) error { return r.run("", []string{"windows/amd64=x"}) },
		"linux=x":         func(r *release) error { return r.run("", []string{"linux=x"}) },
		"no such file":    func(r *release) error { return r.run("", []string{"linux/amd64=/missing/program"}) },
		"parsing time":    func(r *release) error { return r.run("yesterday", []string{"linux/amd64=x"}) },
	} {
		if err := run(&release{version: version, out: t.TempDir(), root: "../..", level: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// untar unpacks an npm package into a folder.
func untar(t *testing.T, tarball []byte, dir string) {
	t.Helper()
	eachFile(t, bytes.NewReader(tarball), func(h *tar.Header, data []byte) {
		path := filepath.Join(dir, strings.TrimPrefix(h.Name, "package/"))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, h.FileInfo().Mode()); err != nil {
			t.Fatal(err)
		}
	})
}

// eachFile calls f for each entry of a .tar.gz.
func eachFile(t *testing.T, zipped io.Reader, f func(h *tar.Header, data []byte)) {
	t.Helper()
	unzipped, err := gzip.NewReader(zipped)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(unzipped)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		f(h, data)
	}
}

// need returns the path of a program. Without it the test is skipped, or fails where everything
// has to be there.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("TESTKIT_REQUIRE") != "":
		t.Fatalf("no %s: run make deps", name)
	default:
		t.Skipf("no %s", name)
	}
	return path
}
