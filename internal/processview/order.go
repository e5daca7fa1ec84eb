package processview

import (
	"cmp"

	"github.com/sidereal-io/sidereal/internal/daemon"
)

// orders compares processes by a column.
var orders = map[string]func(a, b *daemon.Process) int{
	"id":        func(a, b *daemon.Process) int { return cmp.Compare(a.ID, b.ID) },
	"name":      func(a, b *daemon.Process) int { return cmp.Compare(a.Name, b.Name) },
	"namespace": func(a, b *daemon.Process) int { return cmp.Compare(a.Namespace, b.Namespace) },
	"pid":       func(a, b *daemon.Process) int { return cmp.Compare(a.PID, b.PID) },
	"status":    func(a, b *daemon.Process) int { return cmp.Compare(a.Status, b.Status) },
	"uptime":    func(a, b *daemon.Process) int { return b.Started.Compare(a.Started) },
	"cpu":       func(a, b *daemon.Process) int { return cmp.Compare(a.CPU, b.CPU) },
	"memory":    func(a, b *daemon.Process) int { return cmp.Compare(a.Memory, b.Memory) },
	"restart":   func(a, b *daemon.Process) int { return cmp.Compare(a.Restarts, b.Restarts) },
}
