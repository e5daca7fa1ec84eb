package processview

import (
	"slices"
	"strconv"

	"github.com/sidereal-io/sidereal/internal/daemon"
)

// Targets returns all words that name processes, for completion: ids, names and namespaces.
func Targets(l daemon.Listing) []string {
	targets := []string{"all"}
	for _, p := range l.Processes {
		targets = append(targets, strconv.Itoa(p.ID), p.Name, p.Namespace)
	}
	slices.Sort(targets)
	return slices.Compact(targets)
}
