package host

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/internal/node"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// sharedNodeHost is the node host that apps of NodeFork share. It only holds their channels: a node
// host for each would take more memory than many of these apps.
type sharedNodeHost struct {
	turn sync.Mutex                            // held while an app joins or leaves, which may wait for the process
	apps int                                   // that share it; the turn's
	dir  atomic.Pointer[supervisor.RuntimeDir] // nil while no app shares it; the turn's to change
}

// joinNodeHost gives an app the shared node host, which the first app starts.
func (h *Host) joinNodeHost() (*supervisor.RuntimeDir, error) {
	n := &h.nodeHost
	n.turn.Lock()
	defer n.turn.Unlock()
	if n.dir.Load() == nil {
		dir, err := supervisor.NewRuntimeDir(h.cfg.runtimeParent(nil), node.Preload, node.Adapter, node.UsageScript)
		if err != nil {
			return nil, err
		}
		facts := h.facts
		facts.Dir = dir.Path
		if err := h.Processes.Add(SharedNodeHost(facts, h.cfg.Liveness, h.cfg.ServiceLog)); err != nil {
			return nil, errors.Join(err, dir.Close())
		}
		n.dir.Store(dir)
	}
	n.apps++
	return n.dir.Load(), nil
}

// leaveNodeHost gives the shared node host back. It ends with the last app.
func (h *Host) leaveNodeHost() error {
	n := &h.nodeHost
	n.turn.Lock()
	defer n.turn.Unlock()
	if n.apps--; n.apps > 0 {
		return nil
	}
	err := h.Processes.Remove(context.Background(), SharedNodeHostPlace)
	if errors.Is(err, supervisor.ErrStopping) { // it has ended with everything else
		err = nil
	}
	return errors.Join(err, n.dir.Swap(nil).Close())
}
