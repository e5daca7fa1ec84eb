package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// writePIDs keeps the pid files up to date, until ctx ends.
func (d *Daemon) writePIDs(ctx context.Context) {
	written := map[string]int{}
	d.sup.Wait(ctx, func(st []supervisor.Status) bool {
		for i := range st {
			if st[i].PID == 0 || written[st[i].Name] == st[i].PID {
				continue
			}
			written[st[i].Name] = st[i].PID
			d.mu.Lock()
			e := d.byPlace[st[i].Name]
			d.mu.Unlock()
			if e != nil {
				if err := writePID(d.pidFile(e), st[i].PID); err != nil {
					d.cfg.Log.Warn().Str("process", e.place).Err(err).Msg("no pid file")
				}
			}
		}
		return false
	})
}

func writePID(path string, pid int) error {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	return errors.Join(err, os.WriteFile(path, []byte(strconv.Itoa(pid)), 0o644))
}

// removePID removes the file of a process that has ended, and not that of its successor.
func removePID(path string, pid int) {
	if raw, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(raw)) == strconv.Itoa(pid) {
		os.Remove(path)
	}
}
