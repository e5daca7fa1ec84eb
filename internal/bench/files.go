package bench

import (
	"syscall"

	"github.com/sidereal-io/sidereal/client"
)

// spareFiles are descriptors for all that is no client.
const spareFiles = 64

// descriptorsEach is how many descriptors a client may hold: a WebSocket one, polling one for each of two requests at once.
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

// raiseFileLimit asks for as many descriptors as clients need. The Go runtime has asked for all below the hard limit; beyond that is for root.
// Where it is refused, clients that find none say so.
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

// fileLimit is how many descriptors this process may have.
func fileLimit() uint64 {
	var limit syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) // never fails for oneself
	return limit.Cur
}
