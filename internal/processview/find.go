package processview

import (
	"slices"
	"strconv"

	"github.com/sidereal-io/sidereal/internal/daemon"
)

// Find are the processes that a target names: an id, a name, a namespace, or all.
func Find(l daemon.Listing, target string) []daemon.Process {
	for _, fits := range []func(*daemon.Process) bool{
		func(*daemon.Process) bool { return target == "all" },
		func(p *daemon.Process) bool { return strconv.Itoa(p.ID) == target },
		func(p *daemon.Process) bool { return p.Name == target },
		func(p *daemon.Process) bool { return p.Namespace == target },
	} {
		found := slices.DeleteFunc(slices.Clone(l.Processes), func(p daemon.Process) bool { return !fits(&p) })
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// Targets are all words that name processes, for completion: ids, names and namespaces.
func Targets(l daemon.Listing) []string {
	targets := []string{"all"}
	for _, p := range l.Processes {
		targets = append(targets, strconv.Itoa(p.ID), p.Name, p.Namespace)
	}
	slices.Sort(targets)
	return slices.Compact(targets)
}
