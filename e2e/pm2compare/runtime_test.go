//go:build e2e && linux

package pm2compare

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// own matches lines that PM2 prints about itself.
var own = regexp.MustCompile(`PM2 log:|^PM2|"type":"process_event"|app=pm2 `)

// moment matches a date with its time.
var moment = regexp.MustCompile(`\d{4}-\d\d-\d\d[-T:.+0-9Z]*`)

// TestRuntime compares what a container's log collector gets from pm2-runtime, and how it ends.
func TestRuntime(t *testing.T) {
	node := testkit.Need(t, "node")
	for name, flags := range map[string][]string{"raw": nil, "json": {"--json"}, "pairs": {"--format"}, "stage": {"--env", "production"}} {
		t.Run(name, func(t *testing.T) {
			link := filepath.Join(t.TempDir(), "pm2-runtime")
			if err := os.Symlink(harness.Binary(), link); err != nil {
				t.Fatal(err)
			}
			var said [2][2][]string
			for i, program := range [][]string{{node, filepath.Join(harness.Root(), "e2e", "node_modules", "pm2", "bin", "pm2-runtime")}, {link}} {
				said[i] = runtimeSays(t, append(append(program, "start", "ecosystem.config.js"), flags...))
			}
			for i, stream := range []string{"stdout", "stderr"} {
				if !slices.Equal(said[0][i], said[1][i]) {
					t.Errorf("%s: %q with PM2, %q with Sidereal", stream, said[0][i], said[1][i])
				}
			}
		})
	}
}

// runtimeSays runs an app in the foreground until SIGTERM, and returns the app's lines of both streams.
func runtimeSays(t *testing.T, command []string) (said [2][]string) {
	t.Helper()
	home, err := os.MkdirTemp("", "sh")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	s := set(t, &manager{}, "stages", nil)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = s.dir, environment(home, "PM2_HOME="+home, "SIDEREAL_ADMIN_ADDR=off")
	var out, trouble testkit.Output
	cmd.Stdout, cmd.Stderr = &out, &trouble
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }() // ended, as a rule
	testkit.Until(t, "the app's lines of "+command[0], func() bool {
		return strings.Contains(out.String(), "hello") && strings.Contains(out.String()+trouble.String(), "trouble")
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Receive(t, "the end of "+command[0], ended); err != nil {
		t.Errorf("%s: %v\n%s%s", command[0], err, out.String(), trouble.String())
	}
	for i, text := range []string{out.String(), trouble.String()} {
		for line := range bytes.Lines([]byte(text)) {
			l := strings.TrimSpace(string(line))
			if (strings.Contains(l, "hello") || strings.Contains(l, "trouble")) && !own.MatchString(l) {
				said[i] = append(said[i], moment.ReplaceAllString(l, "<date>"))
			}
		}
		slices.Sort(said[i])
	}
	return said
}
