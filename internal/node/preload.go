package node

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

var (
	//go:embed preload.js
	preload []byte
	//go:embed adapter.js
	adapterScript []byte
	//go:embed usage.js
	usageSource []byte
	// PM2Module is PM2's module for scripts, whose calls run our commands.
	//go:embed pm2.js
	PM2Module []byte
)

// preloadCommand is the cmd of the messages between our scripts and us.
const preloadCommand = "NODE_SIDEREAL"

// The scripts in the runtime folder with which Node processes that get a channel are started (node
// -r). [ChannelHook] writes them.
const (
	Preload = "preload.cjs"
	// Adapter is for processes whose Socket.IO servers may get our adapter. It comes before Preload.
	Adapter = "adapter.cjs"
	// UsageScript is for processes that report how they do. It comes before Preload.
	UsageScript = "usage.cjs"
)

// writePreload writes the scripts into a folder, unless they are there. It makes the folder if
// that is gone: programs that clean folders for temporary files remove files, and whole folders.
// The folder belongs to owner, or to this process' user, and writePreload follows no link in it.
func writePreload(dir string, owner *supervisor.User) error {
	folder, err := openFolder(dir, owner)
	if err != nil {
		return err
	}
	defer folder.Close()
	return errors.Join(writeScript(folder, Preload, preload), writeScript(folder, Adapter, adapterScript), writeScript(folder, UsageScript, usageSource),
		writeScript(folder, "pm2.cjs", PM2Module),
		linkProgram(folder))
}

// linkProgram links to this program, for PM2's module beside it.
func linkProgram(folder *os.Root) error {
	const name = "sidereal"
	if _, err := folder.Lstat(name); err == nil {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := folder.Symlink(self, name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func writeScript(folder *os.Root, name string, content []byte) error {
	if info, err := folder.Lstat(name); err == nil && info.Mode().IsRegular() {
		return nil
	}
	part := name + ".part"
	if err := folder.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := folder.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) // processes of owner read it
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return folder.Rename(part, name)
}

// openFolder opens the runtime folder, which it makes if it is gone. It refuses a folder that
// another user has put there.
func openFolder(dir string, owner *supervisor.User) (*os.Root, error) {
	folder, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeFolder(dir, owner); err != nil {
			return nil, err
		}
		folder, err = os.OpenRoot(dir)
	}
	if err != nil {
		return nil, err
	}
	info, err := folder.Stat(".")
	if err == nil {
		st, ok := info.Sys().(*syscall.Stat_t)
		if ok && (int(st.Uid) == os.Getuid() || owner != nil && st.Uid == owner.UID) {
			return folder, nil
		}
		err = fmt.Errorf("%s belongs to another user", dir)
	}
	return nil, errors.Join(err, folder.Close())
}

func makeFolder(dir string, owner *supervisor.User) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil || owner == nil {
		return err
	}
	return os.Lchown(dir, int(owner.UID), int(owner.GID))
}

// fromPreload handles a message of our scripts in the process.
func (c *child) fromPreload(f ipc.Frame, o *ipc.Object) {
	switch o.Text("act") {
	case "hello":
		c.preloaded.Store(true)
	case "beat":
		if n, ok := o.Int("clients"); ok {
			c.clients.Store(int64(n))
		}
		c.h.report(lifeline.ChildReport{ID: c.told.ID, State: lifeline.ChildAlive})
	case "usage":
		c.reportsUsage(o)
	case "loaded":
		c.h.report(lifeline.ChildReport{ID: c.told.ID, State: lifeline.ChildLoaded})
	case "sticky":
		c.openSticky()
	case "adapter":
		if n, _ := o.Int("server"); n > 0 && n <= maxServers && f != nil {
			c.bridgeOf(n).fromWorker(f, o)
		}
	case "adapters":
		if n, ok := o.Int("servers"); ok && n >= 0 && n <= maxServers {
			c.h.report(lifeline.ChildReport{ID: c.told.ID, State: lifeline.ChildAdapters, Adapters: n})
		}
	case "uncarried":
		n, _ := o.Int("count")
		if reason := o.Text("reason"); n > 0 && slices.Contains(reasons, reason) {
			c.uncarried(reason, n)
		}
	case "drained":
		c.onDrained.Do(func() { close(c.drained) })
	}
}

// openSticky opens an endpoint for a process that takes connections by @socket.io/sticky's
// messages.
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

// dismiss sends recluster's message to one of its workers, and gives the worker the time to end by
// itself that recluster gives.
func (c *child) dismiss() {
	if !c.reclusters.Load() || c.ch.sendValue((&ipc.Object{}).Set("cmd", "disconnect")) != nil {
		return
	}
	netio.Pause(c.ctx, dismissal)
}

// drainRate returns how many of the sessions leave in a second: DrainRate, or more if time is
// short.
func (h *Host) drainRate(sessions int) float64 {
	within := h.cfg.ShutdownTimeout - min(overtime, h.cfg.ShutdownTimeout/2)
	return max(float64(h.cfg.DrainRate), float64(sessions)/within.Seconds())
}
