package supervisor

import "runtime"

// Share is the GOMAXPROCS for each of so many Go processes on this host, so that together they do not start more threads
// than there are cores. The runtime counts cores as the process may use them: CPU affinity and cgroup quota respected.
func Share(processes int) int {
	return max(1, Cores()/max(1, processes))
}

// Cores is how many cores this process may use.
func Cores() int { return runtime.GOMAXPROCS(0) }
