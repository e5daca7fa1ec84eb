package bench

import (
	"syscall"

	"github.com/sidereal-io/sidereal/client"
)

// spareFiles is the number of descriptors for everything except clients.
const spareFiles = 64

// descriptorsEach is the number of descriptors of a client: one for a WebSocket, two for the two
// concurrent requests of polling.
func descriptorsEach(transports []string) (n uint64) {
	for _, t := range transports {
		if t == client.WebSocket {
			n++
		} else {
			n += 2
		}
	}
	return n
}

// raiseFileLimit asks for as many descriptors as the clients need. The Go runtime has already asked
// for all below the hard limit; only root gets more. If the system refuses, clients without a
// descriptor report it.
func raiseFileLimit(need uint64) {
	need += spareFiles
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) >= need {
		return
	}
	limit.Cur, limit.Max = need, max(need, limit.Max)
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) != nil && syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = min(need, limit.Max)
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // best effort
	}
}

// fileLimit returns how many descriptors this process may have.
func fileLimit() uint64 {
	var limit syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) // never fails for this process
	return limit.Cur
}
