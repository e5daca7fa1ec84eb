package daemon

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/internal/pidfile"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/safefile"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// pidFiles are the files with the ids of the processes in the list.
type pidFiles struct {
	home    Home
	log     *slog.Logger
	rewrite atomic.Bool // the files are gone: write all again
}

// path is the file of a process.
func (f *pidFiles) path(e *entry, a *pm2.App) string {
	if a.PIDFile != "" {
		return numbered(a.PIDFile, e.id)
	}
	return filepath.Join(f.home.PIDs(), numbered(pm2.FileName(a.Name)+".pid", e.id))
}

// write writes the id of a process.
func (f *pidFiles) write(e *entry, a *pm2.App, pid int) {
	if err := pidfile.Write(f.path(e, a), pid); err != nil {
		f.log.Warn("pid file can't be written", "process", e.place, "error", err)
	}
}

// ended removes the file of a process that has ended, but not that of its successor.
func (f *pidFiles) ended(e *entry, a *pm2.App, pid int) {
	f.removed(e, pidfile.Remove(f.path(e, a), pid))
}

// remove removes the file of a process that leaves the list.
func (f *pidFiles) remove(e *entry, a *pm2.App) {
	f.removed(e, safefile.Remove(f.path(e, a)))
}

// removed logs why a file couldn't be removed: monitors would believe that the process lives.
func (f *pidFiles) removed(e *entry, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.log.Warn("pid file can't be removed", "process", e.place, "error", err)
	}
}

// writePIDs keeps the pid files up to date, until ctx ends.
func (d *Daemon) writePIDs(ctx context.Context) {
	written := map[string]int{}
	_ = d.host.Processes.Wait(ctx, func(st []supervisor.Status) bool { // it ends with ctx, or the supervisor
		if d.pids.rewrite.Swap(false) {
			clear(written)
		}
		for i := range st {
			if st[i].PID == 0 || written[st[i].Name] == st[i].PID {
				continue
			}
			written[st[i].Name] = st[i].PID
			if e := d.entryAt(st[i].Name); e != nil {
				ap := d.see(e.app)
				d.pids.write(e, &ap.app, st[i].PID)
			}
		}
		return false
	})
}
