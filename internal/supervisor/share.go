package supervisor

import "runtime"

// Share returns the GOMAXPROCS for each of so many Go processes on this host, so that together they
// don't run more threads than there are cores. The runtime respects CPU affinity and cgroup quotas.
func Share(processes int) int {
	return max(1, Cores()/max(1, processes))
}

// Cores returns how many cores this process may use.
func Cores() int { return runtime.GOMAXPROCS(0) }
