package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sidereal-io/sidereal/directory"
)

// disagreements are the settings that all workers of an app must share and do not, a line each. path is this host's own;
// empty: it has none to compare.
func disagreements(workers []*directory.Worker, host, path string) (lines []string) {
	settings := []struct {
		variable string
		of       func(*directory.Worker) string
		hosts    map[string][]string // by value
	}{
		{"SIDEREAL_ADAPTER", func(w *directory.Worker) string { return w.Adapter }, map[string][]string{}},
		{"SIDEREAL_ADAPTER_KEY", func(w *directory.Worker) string { return w.AdapterKey }, map[string][]string{}},
		{"SIDEREAL_ADAPTER_MODE", func(w *directory.Worker) string { return w.AdapterMode }, map[string][]string{}},
		{"SIDEREAL_STREAM_NAME", func(w *directory.Worker) string { return w.Stream }, map[string][]string{}},
		{"SIDEREAL_STREAM_COUNT", func(w *directory.Worker) string { return counted(w.Streams) }, map[string][]string{}},
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

// counted is a number as text; empty: none was given.
func counted(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// watchMembers logs each disagreement once, as it appears.
func (n *node) watchMembers(ctx context.Context, host, path string) error {
	var told []string
	for {
		changed := n.dir.Changed()
		now := disagreements(n.dir.Workers().All(), host, path)
		for _, line := range now {
			if !slices.Contains(told, line) {
				n.log.Error().Msg(line)
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
