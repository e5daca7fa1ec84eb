package node

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

const (
	maxOverheard = 64 << 10 // bytes of a message, as JSON
	mostHeard    = 100      // messages a second, of all processes of the host
)

// ear says which messages to the parent the node host reports, for scripts that follow PM2's bus.
// Without such a script it reports none. It may be used concurrently.
type ear struct {
	mu     sync.Mutex // guards the rest
	until  time.Time  // when the scripts have gone, unless the supervisor tells more
	second time.Time  // since when count counts
	count  int
}

// open begins, or goes on, for a number of seconds.
func (e *ear) open(seconds string) error {
	n, err := strconv.Atoi(seconds)
	if err != nil {
		return fmt.Errorf("overhear: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.until = time.Now().Add(time.Duration(n) * time.Second)
	return nil
}

// takes reports whether the message of this moment is to be reported.
func (e *ear) takes(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !now.Before(e.until) {
		return false
	}
	if now.Sub(e.second) >= time.Second {
		e.second, e.count = now, 0
	}
	e.count++
	return e.count <= mostHeard
}

// overheard reports a message of the process to its parent that is for nobody here. It drops long
// ones, and those that come too fast.
func (c *child) overheard(f ipc.Frame, v ipc.Value) {
	if f == nil || len(f) > maxOverheard || !c.h.ear.takes(time.Now()) {
		return
	}
	text, err := ipc.AppendText(nil, v, maxOverheard, nil)
	if err != nil {
		c.h.metrics.malformed.Inc()
		return
	}
	c.h.report(lifeline.ChildReport{ID: c.told.ID, State: lifeline.ChildMessage, Message: json.RawMessage(text)})
}
