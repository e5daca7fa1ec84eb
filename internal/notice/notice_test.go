package notice

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNoticesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		n := New()
		for range 1000 {
			n.Warn(log, "client")
		}
		if lines := strings.Count(out.String(), "\n"); lines != atOnce {
			t.Errorf("%d lines at once, want %d", lines, atOnce)
		}
		out.Reset()
		time.Sleep(every)
		n.Error(log, "client", "sid", "a")
		n.Error(log, "client", "sid", "b")
		if got := out.String(); !strings.HasSuffix(got, "level=ERROR msg=client sid=a left_out=980\n") || strings.Count(got, "\n") != 1 {
			t.Errorf("later: %q", got)
		}
	})
}

func TestLongTextsAreCut(t *testing.T) {
	if got := Cut("goroutine 1"); got != "goroutine 1" {
		t.Error(got)
	}
	if got := Cut(strings.Repeat("é", 1<<20)); len(got) > maxText+3 || !strings.HasSuffix(got, "é…") {
		t.Errorf("%d bytes", len(got))
	}
}
