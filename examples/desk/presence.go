package main

import (
	"context"
	"slices"
)

// present lists the agents that are connected to any host, each once.
func (d desk) present(ctx context.Context) ([]string, error) {
	sockets, err := d.agents.FetchSockets(ctx)
	names := []string{}
	for _, s := range sockets {
		if u, err := userKey.Get(s); err == nil {
			names = append(names, u.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}
