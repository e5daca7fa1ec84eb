package directory

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// lines is a log that a test reads while others write.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// about returns the lines that name a worker.
func (l *lines) about(id string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "worker="+id) {
			found = append(found, line)
		}
	}
	return found
}

// logged is node with its log.
func logged(t *testing.T, url string) (*Directory, *lines) {
	t.Helper()
	l := new(lines)
	d, err := Open(t.Context(), Config{Conn: connect(t, url), Log: slog.New(slog.NewTextHandler(l, nil))})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, d.Run)
	inSync(t, d)
	return d, l
}

// The log tells a crash from a goodbye, in the process that saw it and in the others.
func TestTheLogTellsACrashFromAGoodbye(t *testing.T) {
	t.Parallel()
	_, url := mini(t)
	a, logA := logged(t, url)
	b, logB := logged(t, url)
	for want, end := range map[string]func(reg *Registration[Worker], stop func()){
		"level=INFO why=goodbye": func(_ *Registration[Worker], stop func()) { stop() },
		"level=WARN why=died":    func(reg *Registration[Worker], _ func()) { a.WorkerGone(reg.ID()) },
		`level=INFO why="ended while it drained"`: func(reg *Registration[Worker], _ func()) {
			reg.SetState(StateDraining)
			awaitState(t, a, reg.ID(), StateDraining)
			awaitState(t, b, reg.ID(), StateDraining)
			a.WorkerGone(reg.ID())
		},
	} {
		reg, stop := join(t, a, Worker{Host: "host-a", Slot: 3}, a, b)
		end(reg, stop)
		for name, l := range map[string]*lines{"a": logA, "b": logB} {
			testkit.Until(t, "a line", func() bool { return len(l.about(reg.ID())) > 0 })
			got, level, why := l.about(reg.ID())[0], want[:10], want[11:]
			if !strings.Contains(got, level) || !strings.Contains(got, why) || !strings.Contains(got, "worker_host=host-a") || !strings.Contains(got, "slot=3") {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
}
