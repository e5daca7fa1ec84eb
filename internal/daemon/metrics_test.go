package daemon

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// gathered are the values of a registry, by name and labels' values.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := []string{f.GetName()}
			for _, l := range m.Label {
				name = append(name, l.GetValue())
			}
			values[strings.Join(name, " ")] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

func TestMetricsCountProcessesAndLostLines(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m, err := NewMetrics(reg, func() Listing {
		return Listing{Processes: []Process{
			{ID: 0, Name: "api", Status: Online, PID: 7, Memory: 4096}, {ID: 1, Name: "api", Status: Online, PID: 8, Memory: 8192}, {ID: 2, Name: "job", Status: Errored},
		}}
	})
	if err != nil {
		t.Fatal(err)
	}
	follow := &followers{all: map[*follower]bool{}, metrics: m}
	follow.add(func(source, string) bool { return true })
	nowhere := logfile.NewSet(logfile.Rotation{}, slog.New(slog.DiscardHandler), m.lose).Use(filepath.Join("/dev/null", "a.log"))
	a := pm2.Default()
	s := newSink(source{0, "api"}, streamOut, &a, nowhere, nil, follow)
	line := []byte("a line\n")
	const lines = maxFollowed + 3
	for range lines {
		s.Write(line)
	}
	got := gathered(t, reg)
	for name, want := range map[string]float64{
		"sidereal_daemon_processes online": 2, "sidereal_daemon_processes errored": 1, "sidereal_daemon_processes stopped": 0,
		"sidereal_daemon_process_memory_bytes 0 api": 4096, "sidereal_daemon_process_memory_bytes 1 api": 8192,
		"sidereal_daemon_log_bytes_total":      lines * float64(len(line)),
		"sidereal_daemon_log_lost_bytes_total": lines * float64(len(line)), "sidereal_daemon_log_skipped_lines_total": 3,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: %v, want %v", name, v, want)
		}
	}
	if _, ok := got["sidereal_daemon_process_memory_bytes 2 job"]; ok {
		t.Error("memory of a process that does not run")
	}
}
