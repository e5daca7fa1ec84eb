package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
)

// disagreements are the settings that all workers of an app must share and do not, a line each. path is this host's own;
// empty: it has none to compare.
func disagreements(workers []*directory.Worker, host, path string) (lines []string) {
	paths, adapters, keys := map[string][]string{}, map[string][]string{}, map[string][]string{}
	if path != "" {
		paths[path] = []string{host}
	}
	for _, w := range workers {
		if w.Upstream != nil {
			continue // it says nothing of itself
		}
		paths[w.Path] = append(paths[w.Path], w.Host)
		mode, key, ok := strings.Cut(w.Adapter, ":") // as worker/register.go writes it
		adapters[mode] = append(adapters[mode], w.Host)
		if !ok {
			key = adapter.DefaultKey
		}
		if mode != "memory" {
			keys[key] = append(keys[key], w.Host)
		}
	}
	for _, setting := range []struct {
		variable string
		hosts    map[string][]string
	}{{"SIDEREAL_ADAPTER", adapters}, {"SIDEREAL_ADAPTER_KEY", keys}, {"SIDEREAL_PATH", paths}} {
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
