package sidereal_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestReadmeProgram compiles the first program that the README shows.
func TestReadmeProgram(t *testing.T) {
	_, program, ok := strings.Cut(read(t, "README.md"), "\n```go\n")
	if !ok {
		t.Fatal("README.md shows no program")
	}
	program, _, _ = strings.Cut(program, "\n```\n")
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := testkit.Go(t, "list", "-export", file).CombinedOutput(); err != nil {
		t.Errorf("the program of README.md: %v\n%s", err, out)
	}
	if out, err := exec.Command("gofmt", "-l", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("the program of README.md isn't formatted: %v\n%s", err, out)
	}
}
