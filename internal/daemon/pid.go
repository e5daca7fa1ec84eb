package daemon

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

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
				if err := writePID(d.pidFile(e, &ap.app), st[i].PID); err != nil {
					d.cfg.Log.Warn().Str("process", e.place).Err(err).Msg("no pid file")
				}
			}
		}
		return false
	})
}

func writePID(path string, pid int) error {
	f, err := openFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(pid))
	}
	return errors.Join(err, f.Close())
}

// maxPID bounds what is read of a pid file.
const maxPID = 32

// removePID removes the file of a process that has ended, and not that of its successor.
func removePID(path string, pid int) error {
	f, err := openFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxPID))
	if err == nil && strings.TrimSpace(string(raw)) == strconv.Itoa(pid) {
		err = removeFile(path)
	}
	return err
}

// noPIDFile says of a pid file that could not be removed. Monitors would take the process for
// alive.
func (d *Daemon) noPIDFile(e *entry, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.cfg.Log.Warn().Str("process", e.place).Err(err).Msg("pid file can't be removed")
	}
}
