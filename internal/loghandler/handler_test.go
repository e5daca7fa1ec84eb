package loghandler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// line logs one record and returns it as it was written.
func line(t *testing.T, write func(*slog.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	write(slog.New(New(&out, slog.LevelInfo)))
	var m map[string]any
	if err := json.Unmarshal(out.Bytes(), &m); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("%q: %v", out.String(), err)
	}
	if _, err := time.Parse(TimeFormat, m["time"].(string)); err != nil {
		t.Error(err)
	}
	delete(m, "time")
	return m
}

func TestLinesHaveTheKeysThatOperatorsKnow(t *testing.T) {
	for _, c := range []struct {
		name, want string
		write      func(*slog.Logger)
	}{
		{"message", `{"level":"info","message":"worker ready"}`, func(l *slog.Logger) { l.Info("worker ready") }},
		{"warning", `{"level":"warn","message":"m"}`, func(l *slog.Logger) { l.Warn("m") }},
		{"error", `{"level":"error","message":"m","error":"broken"}`, func(l *slog.Logger) { l.Error("m", "error", errors.New("broken")) }},
		{"above error", `{"level":"error","message":"m"}`, func(l *slog.Logger) { l.Log(t.Context(), slog.LevelError+4, "m") }},
		{"numbers", `{"level":"info","message":"m","n":-1,"u":2,"f":0.5,"b":true}`, func(l *slog.Logger) { l.Info("m", "n", -1, "u", uint64(2), "f", 0.5, "b", true) }},
		{"milliseconds", `{"level":"info","message":"m","took":1.5}`, func(l *slog.Logger) { l.Info("m", "took", 1500*time.Microsecond) }},
		{"earlier fields", `{"level":"info","message":"m","process":"worker-1","a":"b"}`, func(l *slog.Logger) { l.With("process", "worker-1").Info("m", "a", "b") }},
		{"groups", `{"level":"info","message":"m","a":1,"g.b":2,"g.h.c":3,"g.h.d":4}`, func(l *slog.Logger) {
			l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").With("c", 3).Info("m", "d", 4)
		}},
		{"two loggers of one group", `{"level":"info","message":"m","g.b":2}`, func(l *slog.Logger) {
			g := l.WithGroup("g")
			_, b := g.WithGroup("x"), g
			b.Info("m", "b", 2)
		}},
		{"an empty attribute", `{"level":"info","message":"m"}`, func(l *slog.Logger) { l.Info("m", slog.Attr{}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want map[string]any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			got, _ := json.Marshal(line(t, c.write))
			if again, _ := json.Marshal(want); string(got) != string(again) {
				t.Errorf("got  %s\nwant %s", got, again)
			}
		})
	}
}

// Each line says where it comes from, once: a line about another process names that one.
func TestLinesNameTheirOrigin(t *testing.T) {
	for want, write := range map[string]func(*slog.Logger){
		`{"host":"a","level":"info","message":"m","process":"up"}`:                 func(l *slog.Logger) { l.Info("m") },
		`{"host":"a","level":"info","message":"m","pid":1,"process":"w"}`:          func(l *slog.Logger) { l.Info("m", "process", "w", "pid", 1) },
		`{"host":"a","level":"info","message":"n","process":"v"}`:                  func(l *slog.Logger) { l.With("process", "v").Info("n") },
		`{"g.process":"w","host":"a","level":"info","message":"m","process":"up"}`: func(l *slog.Logger) { l.WithGroup("g").Info("m", "process", "w") },
	} {
		var out bytes.Buffer
		l := slog.New(New(&out, slog.LevelInfo, slog.String("host", "a"), slog.String("process", "up")))
		write(l)
		write(l)
		for text := range strings.Lines(out.String()) {
			var m map[string]any
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				t.Fatal(err)
			}
			delete(m, "time")
			got, _ := json.Marshal(m)
			if string(got) != want || strings.Count(text, `"process":`) != 1 || strings.Count(text, `"host":`) != 1 {
				t.Errorf("got  %s\nwant %s", text, want)
			}
		}
	}
}

func TestLevelIsCheckedBeforeTheRecordIsMade(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(New(&out, slog.LevelWarn))
	log.Info("m")
	if out.Len() > 0 {
		t.Error(out.String())
	}
	if n := testing.AllocsPerRun(100, func() {
		log.LogAttrs(context.Background(), slog.LevelDebug, "session ended", slog.String("sid", "a"), slog.Int("code", 1))
	}); n > 0 {
		t.Errorf("a line below the level takes %v allocations", n)
	}
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "request", 0)
	if err := log.Handler().Handle(t.Context(), r); err != nil || !strings.Contains(out.String(), "request") {
		t.Errorf("the handler left out a record that it was given: %q, %v", out.String(), err)
	}
}

// The router's access log writes a line for each request.
func TestLineAllocatesNothing(t *testing.T) {
	log := slog.New(New(io.Discard, slog.LevelInfo))
	if n := testing.AllocsPerRun(100, func() {
		log.LogAttrs(context.Background(), slog.LevelInfo, "request", slog.String("path", "/"), slog.Int("status", 200), slog.Float64("took_ms", 0.5))
	}); n > 0 {
		t.Errorf("a line takes %v allocations", n)
	}
}

func TestConsole(t *testing.T) {
	var out bytes.Buffer
	slog.New(New(Console(&out, false), slog.LevelInfo)).Info("host ready", "workers", 2)
	if got := out.String(); !strings.Contains(got, " INF host ready workers=2\n") {
		t.Errorf("%q", got)
	}
}
