package daemon

import (
	"context"
	"errors"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/node"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// forkHost is the node host that apps of merely forked Node processes share. All it does for them is to hold their channels:
// one for each app would take more memory than many an app.
type forkHost struct {
	dir  *supervisor.RuntimeDir
	apps int // that share it; the owner's
}

// joinForks gives an app the shared nodehost, which the first one brings.
func (d *Daemon) joinForks(ap *application) error {
	d.forking.Lock()
	defer d.forking.Unlock()
	var f *forkHost
	d.do(func(b *book) { f = b.forks })
	if f == nil {
		dir, err := supervisor.NewRuntimeDir("", node.Preload)
		if err != nil {
			return err
		}
		if err := d.sup.Add(host.SharedNodeHost(d.facts(dir.Path), d.cfg.Settings.Liveness, d.cfg.Settings.Log)); err != nil {
			return errors.Join(err, dir.Close())
		}
		f = &forkHost{dir: dir}
	}
	d.do(func(b *book) {
		f.apps++
		b.forks, ap.facts.in(b).dir = f, f.dir
	})
	return nil
}

// leaveForks gives the shared nodehost back; with the last app it ends.
func (d *Daemon) leaveForks(ap *application) error {
	d.forking.Lock()
	defer d.forking.Unlock()
	var f *forkHost
	last := false
	d.do(func(b *book) {
		dir := &ap.facts.in(b).dir
		if *dir == nil {
			return // it never joined
		}
		f, *dir = b.forks, nil
		if f.apps--; f.apps == 0 {
			last, b.forks = true, nil
		}
	})
	if !last {
		return nil
	}
	err := d.sup.Remove(context.Background(), host.SharedNodeHostPlace)
	if errors.Is(err, supervisor.ErrStopping) { // it has ended with everything else
		err = nil
	}
	return errors.Join(err, f.dir.Close())
}

// forksSocket is the admin socket of the shared nodehost; empty: there is none.
func (b *book) forksSocket() string {
	if b.forks == nil {
		return ""
	}
	return admin.Socket(b.forks.dir.Path, "nodehost")
}
