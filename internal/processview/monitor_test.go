package processview

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/daemon"
)

func TestMonitor(t *testing.T) {
	var m Monitor
	now := time.Unix(1000, 0)
	for i := range 20 {
		m.Listing.Processes = append(m.Listing.Processes, daemon.Process{ID: i, Name: fmt.Sprintf("app%d", i), Mode: "fork_mode", Namespace: "default", Status: daemon.Online, PID: 100 + i,
			Started: now.Add(-time.Minute), Restarts: i, CPU: 1, Memory: 1 << 20})
	}
	for i := range 50 {
		m.Lines = append(m.Lines, daemon.LogLine{Stream: "out", Text: fmt.Sprintf("line %d\x1b[2J", i)})
	}
	m.Selected, m.Message = 13, "keys"
	for _, height := range []int{8, 24, 60} {
		var b bytes.Buffer
		if err := m.Draw(Screen{Writer: &b, Width: 60, Height: height}, now); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		lines := strings.Split(strings.NewReplacer("\x1b[H", "", "\x1b[K", "", "\x1b[J", "").Replace(page), "\n")
		if len(lines) != height {
			t.Errorf("%d lines on a screen of %d", len(lines), height)
		}
		for _, line := range lines {
			if columns(line) > 60 || strings.Contains(line, "\x1b") {
				t.Errorf("height %d: %q", height, line)
			}
		}
		if lines[len(lines)-1] != "keys" || height > 8 && (!strings.Contains(page, "│ › │ 13 │ app13") || !strings.Contains(page, "line 49 [2J") ||
			!strings.Contains(page, "app13 (13): pid 113, up 1m, 13 restarts, 0 unstable") || !strings.HasPrefix(lines[0], "20 processes, 20 online, cpu 20.0%, mem 20.0mb")) {
			t.Errorf("height %d:\n%s", height, strings.Join(lines, "\n"))
		}
	}
	m.Listing.Processes, m.Selected, m.Lines = nil, 0, nil
	var b bytes.Buffer
	if err := m.Draw(Screen{Writer: &b}, now); err != nil || !strings.Contains(b.String(), "nothing runs yet") {
		t.Errorf("%q, %v", b.String(), err)
	}
}
