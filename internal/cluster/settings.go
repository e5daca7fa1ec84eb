package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sidereal-io/sidereal/directory"
)

// Disagreements returns a line for each setting that all workers of an app must share and don't.
// Path is the one of this host; empty if it has none to compare.
func Disagreements(workers []*directory.Worker, host, path string) (lines []string) {
	settings := []struct {
		variable string
		of       func(*directory.Worker) string
		hosts    map[string][]string // by value
	}{
		{"SIDEREAL_ADAPTER", func(w *directory.Worker) string { return w.Adapter }, map[string][]string{}},
		{"SIDEREAL_ADAPTER_KEY", func(w *directory.Worker) string { return w.AdapterKey }, map[string][]string{}},
		{"SIDEREAL_ADAPTER_MODE", func(w *directory.Worker) string { return w.AdapterMode }, map[string][]string{}},
		{"SIDEREAL_STREAM_NAME", func(w *directory.Worker) string { return w.Stream }, map[string][]string{}},
		{"SIDEREAL_STREAM_COUNT", func(w *directory.Worker) string { return numberText(w.Streams) }, map[string][]string{}},
		{"SIDEREAL_PATH", func(w *directory.Worker) string { return w.Path }, map[string][]string{}},
	}
	if path != "" {
		settings[len(settings)-1].hosts[path] = []string{host}
	}
	for _, setting := range settings {
		for _, w := range workers {
			if value := setting.of(w); value != "" && w.Upstream == nil { // an upstream says nothing of itself
				setting.hosts[value] = append(setting.hosts[value], w.Host)
			}
		}
		if len(setting.hosts) < 2 {
			continue
		}
		var sides []string
		for _, value := range slices.Sorted(maps.Keys(setting.hosts)) {
			hosts := setting.hosts[value]
			slices.Sort(hosts)
			sides = append(sides, fmt.Sprintf("%q on %s", value, strings.Join(slices.Compact(hosts), ", ")))
		}
		lines = append(lines, fmt.Sprintf("%s must be the same for all workers of an app, and is %s", setting.variable, strings.Join(sides, ", ")))
	}
	return lines
}

// numberText is a number as text, empty for zero: the worker has none.
func numberText(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// LogDisagreements logs each disagreement once, as it appears, until ctx ends.
func (c *Cluster) LogDisagreements(ctx context.Context, host, path string, log *slog.Logger) error {
	var told []string
	for {
		changed := c.Directory.Changed()
		now := Disagreements(c.Directory.Workers().All(), host, path)
		for _, line := range now {
			if !slices.Contains(told, line) {
				log.Error(line)
			}
		}
		told = now
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}
