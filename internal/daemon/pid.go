package daemon

import (
	"context"
	"errors"
	"io/fs"

	"github.com/sidereal-io/sidereal/internal/pidfile"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// writePIDs keeps the pid files up to date, until ctx ends.
func (d *Daemon) writePIDs(ctx context.Context) {
	written := map[string]int{}
	_ = d.host.Processes.Wait(ctx, func(st []supervisor.Status) bool { // it ends with ctx, or the supervisor
		if d.rewrite.Swap(false) {
			clear(written)
		}
		for i := range st {
			if st[i].PID == 0 || written[st[i].Name] == st[i].PID {
				continue
			}
			written[st[i].Name] = st[i].PID
			if e := d.entryAt(st[i].Name); e != nil {
				ap := d.see(e.app)
				if err := pidfile.Write(d.pidFile(e, &ap.app), st[i].PID); err != nil {
					d.cfg.Log.Warn().Str("process", e.place).Err(err).Msg("pid file can't be written")
				}
			}
		}
		return false
	})
}

// noPIDFile says of a pid file that could not be removed. Monitors would take the process for
// alive.
func (d *Daemon) noPIDFile(e *entry, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.cfg.Log.Warn().Str("process", e.place).Err(err).Msg("pid file can't be removed")
	}
}
