package sidereal_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestImagesArePinned: every image that somebody else makes is named with its digest, which is all
// that a registry can't exchange, and the compiler's is the toolchain of go.mod.
func TestImagesArePinned(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*Dockerfile", "*.yaml", "deploy/*", "examples/*/*Dockerfile", "examples/*/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	image := regexp.MustCompile(`(?m)^(?:FROM|\s*(?:- )?image:)\s+(?:--\S+\s+)*(\S+)`)
	digest := regexp.MustCompile(`^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$`)
	ours := regexp.MustCompile(`^(?:registry\.example/.*|sidereal(?:-chat)?)$`) // built from here, or the reader's own
	compiler := "golang:" + strings.TrimPrefix(directive(t, "toolchain"), "go") + "-"
	pinned := 0
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			continue
		}
		for _, m := range image.FindAllStringSubmatch(read(t, file), -1) {
			switch name := m[1]; {
			case ours.MatchString(name):
			case !digest.MatchString(name):
				t.Errorf("%s: %s has no digest: `docker buildx imagetools inspect` tells it", file, name)
			case strings.HasPrefix(name, "golang:") && !strings.HasPrefix(name, compiler):
				t.Errorf("%s: %s, but go.mod's toolchain asks for %s…", file, name, compiler)
			default:
				pinned++
			}
		}
	}
	if pinned < 6 {
		t.Errorf("only %d images found", pinned)
	}
}

// directive is the value of a line of go.mod.
func directive(t *testing.T, name string) string {
	t.Helper()
	for line := range strings.Lines(read(t, "go.mod")) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("go.mod has no %s line", name)
	return ""
}

// TestPackagesRunNothing: no package of npm runs a script of its own when it is installed, here or
// by our instructions.
func TestPackagesRunNothing(t *testing.T) {
	installs := regexp.MustCompile(`\bnpm\b[^\n"` + "`" + `]*\b(?:ci|install)\b[^\n"` + "`" + `]*`)
	found := 0
	for _, pattern := range []string{"*Dockerfile", "Makefile", "scripts/*", "examples/*/*", "docs/*.md", "README.md", "CONTRIBUTING.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err != nil || info.IsDir() {
				continue
			}
			for _, command := range installs.FindAllString(read(t, file), -1) {
				if found++; !strings.Contains(command, "--ignore-scripts") {
					t.Errorf("%s: %s runs scripts of packages: say --ignore-scripts", file, command)
				}
			}
		}
	}
	if found < 4 {
		t.Errorf("only %d installations found", found)
	}
	if !strings.Contains(read(t, "e2e/.npmrc"), "ignore-scripts=true\n") {
		t.Error("e2e/.npmrc lets packages run scripts")
	}
	var lock struct {
		Packages map[string]struct {
			Version, Integrity string
			HasInstallScript   bool
		}
	}
	if err := json.Unmarshal([]byte(read(t, "e2e/package-lock.json")), &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if p.HasInstallScript {
			t.Errorf("%s %s has a script that would have to run", name, p.Version)
		}
		if name != "" && p.Integrity == "" {
			t.Errorf("%s %s has no integrity", name, p.Version)
		}
	}
}

// TestVulncheck: what can't be checked is said loudly, and never passes for checked.
func TestVulncheck(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	dir := t.TempDir()
	mirror := filepath.Join(dir, "mirror", "index")
	if err := os.MkdirAll(mirror, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"db.json", "modules.json.gz"} {
		if err := os.WriteFile(filepath.Join(mirror, file), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const unreachable = `govulncheck: fetching vulnerabilities: Get "https://x": no such host`
	for name, c := range map[string]struct {
		says   string // govulncheck
		status string
		env    []string
		want   int
		told   string
	}{
		"clean":               {"No vulnerabilities found.", "0", nil, 0, "No vulnerabilities found."},
		"vulnerable":          {"Vulnerability #1: GO-2026-9999", "3", nil, 1, "GO-2026-9999"},
		"silent":              {"", "0", nil, 1, "without saying"},
		"broken":              {"loading packages: syntax error", "1", nil, 1, "syntax error"},
		"unreachable":         {unreachable, "1", nil, 0, "NOT CHECKED for known vulnerabilities: " + unreachable},
		"refused":             {"creating client: unrecognized vulndb format", "1", nil, 0, "NOT CHECKED"},
		"unreachable, needed": {unreachable, "1", []string{"VULNCHECK=require"}, 1, "NOT CHECKED"},
		"no mirror":           {"No vulnerabilities found.", "0", []string{"GOVULNDB=file://" + dir}, 0, "NOT CHECKED"},
		"no mirror, needed":   {"No vulnerabilities found.", "0", []string{"GOVULNDB=file://" + dir, "VULNCHECK=require"}, 1, "NOT CHECKED"},
		"a mirror":            {"No vulnerabilities found.", "0", []string{"GOVULNDB=file://" + dir + "/mirror"}, 0, "No vulnerabilities found."},
	} {
		t.Run(name, func(t *testing.T) {
			stub := filepath.Join(t.TempDir(), "go")
			if err := os.WriteFile(stub, []byte("#!/bin/sh\necho \"$SAYS\"\nexit $STATUS\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			note := filepath.Join(t.TempDir(), "note")
			cmd := exec.CommandContext(t.Context(), bash, "scripts/vulncheck.sh")
			cmd.Env = append(os.Environ(), "GO="+stub, "SAYS="+c.says, "STATUS="+c.status, "GOVULNDB=", "VULNCHECK=", "VULNCHECK_NOTE="+note)
			cmd.Env = append(cmd.Env, c.env...)
			out, err := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != c.want {
				t.Errorf("exit code %d (%v), want %d", got, err, c.want)
			}
			if !strings.Contains(string(out), c.told) {
				t.Errorf("no %q in: %s", c.told, out)
			}
			kept, _ := os.ReadFile(note)
			if loud := strings.Contains(c.told, "NOT CHECKED"); loud != strings.Contains(string(kept), "NOT CHECKED") {
				t.Errorf("the note for the end: %q", kept)
			}
		})
	}
}

// TestCoverTable: a block counts once, whichever binaries have it, and merged is what any test ran.
func TestCoverTable(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	const m = "github.com/sidereal-io/sidereal/"
	dir := t.TempDir()
	for name, text := range map[string]string{
		"unit": "mode: atomic\n" + m + "a/x.go:1.1,2.2 3 1\n" + m + "a/x.go:3.1,4.2 1 0\n" + m + "b/y.go:1.1,2.2 6 0\n" + m + "a/x.go:1.1,2.2 3 0\n",
		"e2e":  "mode: atomic\n" + m + "a/x.go:1.1,2.2 3 0\n" + m + "a/x.go:3.1,4.2 1 7\n" + m + "b/y.go:1.1,2.2 6 2\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), bash, "scripts/cover.sh", "table", filepath.Join(dir, "unit"), filepath.Join(dir, "e2e")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := [][]string{
		{"package", "statements", "unit", "end", "to", "end", "merged"},
		{"a", "4", "75.0%", "25.0%", "100.0%"}, {"b", "6", "0.0%", "100.0%", "100.0%"}, {"all", "10", "30.0%", "70.0%", "100.0%"},
	}
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if i >= len(want) || strings.Join(strings.Fields(line), " ") != strings.Join(want[i], " ") {
			t.Errorf("line %d: %q", i, line)
		}
	}
}
