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

// WritePreload writes the preload script into a folder, over an earlier one, and returns its path.
// Processes of other users can read it.
func WritePreload(dir string) (path string, err error) {
	path = filepath.Join(dir, Preload)
	part := path + ".part"
	if err := os.WriteFile(part, preload, 0o644); err != nil {
		return "", err
	}
	return path, os.Rename(part, path)
}

// fromPreload handles a message of our script in the process.
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

// openSticky opens an endpoint for a process that takes connections by @socket.io/sticky's messages.
func (c *child) openSticky() {
	c.openEndpoint(mainKey, 0, bySticky, "", c.stickyFrame)
}

const (
	// notice is how long a draining worker still takes new sessions, until every router knows.
	notice = 250 * time.Millisecond
	// overtime is the time of a drain beyond that of its sessions at DrainRate: for clients whose next
	// poll has to come first, and for requests under way.
	overtime = 10 * time.Second
	// dismissal is the time that recluster's workers get to clean up.
	dismissal = time.Second
)

// draining marks a record, so that routers give the worker no new session.
func draining(r *directory.Worker) { r.State = directory.StateDraining }

// drain moves the sessions of the process elsewhere, and reports when they have left.
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

// dismiss sends recluster's message to one of its workers, and gives the worker the time to end by itself
// that recluster gives.
func (c *child) dismiss() {
	if !c.reclusters.Load() || c.ch.sendValue((&ipc.Object{}).Set("cmd", "disconnect")) != nil {
		return
	}
	netio.Pause(c.ctx, dismissal)
}

// drainRate returns how many of the sessions leave in a second: DrainRate, or more if time is short.
func (h *Host) drainRate(sessions int) float64 {
	within := h.cfg.ShutdownTimeout - min(overtime, h.cfg.ShutdownTimeout/2)
	return max(float64(h.cfg.DrainRate), float64(sessions)/within.Seconds())
}
