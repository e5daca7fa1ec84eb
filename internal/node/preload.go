package node

import (
	"context"
	_ "embed"
	"os"
	"path/filepath"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

//go:embed preload.js
var preload []byte

// preloadCommand is the cmd of the messages between preload.js and us.
const preloadCommand = "NODE_SIDEREAL"

// Preload is the name of the script in the runtime folder with which Node processes that get a
// channel are started (node -r). The node host writes it before it is ready.
const Preload = "preload.cjs"

// WritePreload writes the script that Node workers are to be started with (node -r) into a folder, and returns its path.
// It may be there already. Processes of other users read it, too.
func WritePreload(dir string) (path string, err error) {
	path = filepath.Join(dir, Preload)
	part := path + ".part"
	if err := os.WriteFile(part, preload, 0o644); err != nil {
		return "", err
	}
	return path, os.Rename(part, path)
}

// fromPreload takes what our script in the process says.
func (c *child) fromPreload(o *ipc.Object) {
	switch o.Text("act") {
	case "hello":
		c.preloaded.Store(true)
	case "beat":
		if n, ok := o.Int("clients"); ok {
			c.clients.Store(int64(n))
		}
		c.h.report(lifeline.ChildReport{ID: c.told.ID, State: lifeline.ChildAlive})
	case "sticky":
		c.openSticky()
	case "drained":
		c.onDrained.Do(func() { close(c.drained) })
	}
}

// openSticky lets routers come to a process that takes connections by @socket.io/sticky's messages.
func (c *child) openSticky() {
	c.openEndpoint(mainKey, 0, bySticky, "", c.stickyFrame)
}

const (
	// notice is how long a draining worker still takes new sessions, so that every router knows by then that it drains.
	notice = 250 * time.Millisecond
	// overtime is what a drain's time must have beyond that of its sessions at their rate: for clients whose next poll has to
	// come first, and for requests under way.
	overtime = 10 * time.Second
	// dismissal is how long one of recluster's workers has to clean up before it is ended.
	dismissal = time.Second
)

// draining keeps new sessions away.
func draining(r *directory.Worker) { r.State = directory.StateDraining }

// drain moves the process' sessions elsewhere, and reports when they have left.
func (c *child) drain() {
	c.mu.Lock()
	for _, d := range c.endpoints {
		d.tell(draining)
	}
	c.mu.Unlock()
	c.h.ports.leave(c, "")
	netio.Pause(c.ctx, notice)
	if c.preloaded.Load() {
		rate := c.h.drainRate(c.load())
		err := c.ch.sendValue((&ipc.Object{}).Set("cmd", preloadCommand).Set("act", "drain").Set("rate", rate))
		ctx, cancel := context.WithTimeout(c.ctx, c.h.cfg.ShutdownTimeout-min(time.Second, c.h.cfg.ShutdownTimeout/10))
		defer cancel()
		if err == nil {
			select {
			case <-c.drained:
			case <-ctx.Done():
			}
		}
	}
	c.dismiss()
	c.h.report(lifeline.ChildReport{ID: c.told.ID, State: lifeline.ChildDrained})
}

// dismiss tells a process what recluster tells its workers, if it is one, and leaves it the time to end by itself that
// recluster does.
func (c *child) dismiss() {
	if !c.reclusters.Load() || c.ch.sendValue((&ipc.Object{}).Set("cmd", "disconnect")) != nil {
		return
	}
	netio.Pause(c.ctx, dismissal)
}

// drainRate is how many of so many sessions leave in a second: more than DrainRate where the time would not do.
func (h *Host) drainRate(sessions int) float64 {
	within := h.cfg.ShutdownTimeout - min(overtime, h.cfg.ShutdownTimeout/2)
	return max(float64(h.cfg.DrainRate), float64(sessions)/within.Seconds())
}
