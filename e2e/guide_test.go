//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestGuideCommands types the commands of docs/app.md into terminals, and wants the output that the
// page shows. A block "console NAME" belongs to the terminal of that name. A line begins with "$"
// if it is typed; "^C" is Control-C; all others are output, in their order, where "…" stands for
// anything.
func TestGuideCommands(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(harness.Root(), "docs/app.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	buildDesk(t, dir)
	at8080 := harness.Loopback(t)
	text := strings.NewReplacer(
		"localhost:8080", at8080, "localhost:8081", harness.Loopback(t),
		"localhost:9480", harness.Loopback(t), "localhost:9481", harness.Loopback(t),
		"/tmp/desk-files", filepath.Join(dir, "files"),
		"localhost:6379", testkit.StartRedis(t).Addr(),
	).Replace(string(page))
	env := []string{"SIDEREAL_ADDR=" + at8080, "DESK_URL=http://" + at8080, "DESK_FILES=" + filepath.Join(dir, "files")}
	terminals := map[string]*terminal{}
	for _, block := range regexp.MustCompile("(?ms)^```console *(\\w*)\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		at := terminals[block[1]]
		if at == nil {
			at = &terminal{Shell: harness.StartShell(t, "terminal "+block[1], dir, env)}
			terminals[block[1]] = at
		}
		at.replay(t, block[2])
	}
	if len(terminals) < 3 {
		t.Errorf("docs/app.md uses the terminals %v", terminals)
	}
}

// buildDesk builds the programs of examples/desk into a folder bin, beside the command.
func buildDesk(t *testing.T, dir string) {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	build := exec.Command("go", "build", "-o", bin+"/", "./examples/desk/...")
	build.Dir = harness.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Symlink(harness.Binary(), filepath.Join(bin, "sidereal")); err != nil {
		t.Fatal(err)
	}
}

// terminal is a shell and how far its output was read.
type terminal struct {
	*harness.Shell
	read int
}

func (at *terminal) replay(t *testing.T, block string) {
	t.Helper()
	for line := range strings.Lines(block) {
		line = strings.TrimSuffix(line, "\n")
		command, typed := strings.CutPrefix(line, "$ ")
		switch {
		case typed:
			at.Type(t, command)
		case line == "^C":
			at.Interrupt(t)
		default:
			want := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + "$")
			_, at.read = at.Output.Wait(t, at.read, line, want.MatchString)
		}
	}
}
