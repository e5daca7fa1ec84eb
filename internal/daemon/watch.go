package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sidereal-io/sidereal/internal/pm2"
)

// settle is the least time without a change before a restart: an editor that saves, or a tool that
// builds, touches files more than once.
const settle = 100 * time.Millisecond

// patienceDelays is how many delays a restart waits at most for changes to pause: some files change
// for ever.
const patienceDelays = 5

// watch restarts an app when its files change.
type watch struct {
	stop context.CancelFunc
	over chan struct{} // closed when it has ended
}

// end stops the watch and waits until it has. A restart that the watch began is over then.
func (w *watch) end() {
	if w != nil {
		w.stop()
		<-w.over
	}
}

// rewatch watches what an app wants watched, in place of what was.
func (d *Daemon) rewatch(ap *application) {
	a := d.see(ap).app
	if len(a.Watch) == 0 {
		d.unwatch(ap)
		return
	}
	files, err := newFiles(&a, d.cfg.Home, d.cfg.Log)
	if err != nil {
		d.cfg.Log.Error("files can't be watched", "app", a.Name, "error", err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	next := &watch{stop: stop, over: make(chan struct{})}
	var last *watch
	begun := false
	d.change(ap, func(f *facts) {
		if f.gone {
			return
		}
		last, f.watch, begun = f.watch, next, true
		d.watchers.Go(func() {
			defer close(next.over)
			defer files.Close()
			files.follow(ctx, func(file string) { d.filesChanged(ap, file) })
		})
	})
	if !begun {
		stop()
		files.Close()
	}
	last.end()
}

// unwatch ends the watch of an app.
func (d *Daemon) unwatch(ap *application) {
	var last *watch
	d.change(ap, func(f *facts) { last, f.watch = f.watch, nil })
	last.end()
}

// stopWatching ends the watches of the processes' apps, until a command or a file asks for one
// again.
func (d *Daemon) stopWatching(entries []*entry) {
	_ = d.eachApp(entries, func(ap *application, _ []*entry) error { // which never fails
		d.change(ap, func(f *facts) { f.app.Watch = nil })
		d.unwatch(ap)
		return nil
	})
}

// files are what an app wants watched.
type files struct {
	*fsnotify.Watcher
	app  *pm2.App
	home Home // never watched: the daemon writes there
	log  *slog.Logger
}

func newFiles(a *pm2.App, home Home, log *slog.Logger) (*files, error) {
	w, err := fsnotify.NewWatcher()
	return &files{w, a, home, log}, err
}

// follow calls changed with the file that changed last, each time that changes pause, until ctx
// ends.
func (f *files) follow(ctx context.Context, changed func(file string)) {
	a := f.app
	var missed []error
	for _, root := range a.Watch {
		missed = append(missed, f.addTree(ctx, root)...)
	}
	f.unwatched(missed)
	pause := calm{delay: max(a.WatchDelay.D(), settle)}
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	defer quiet.Stop()
	last := ""
	for {
		select {
		case e, ok := <-f.Events:
			if !ok {
				return
			}
			if e.Op == fsnotify.Chmod || f.ignored(e.Name) {
				continue
			}
			if e.Op.Has(fsnotify.Create) {
				missed := f.addTree(ctx, e.Name)
				f.unwatched(slices.DeleteFunc(missed, func(err error) bool { return errors.Is(err, fs.ErrNotExist) })) // gone again
			}
			last = e.Name
			quiet.Reset(pause.after(time.Now()))
		case err, ok := <-f.Errors:
			if !ok {
				return
			}
			f.log.Warn("watching files", "app", a.Name, "error", err)
		case <-quiet.C:
			pause.over()
			changed(last)
		case <-ctx.Done():
			return
		}
	}
}

// calm tells when changes have paused: delay after the last one, or when they have gone on for too
// long.
type calm struct {
	delay time.Duration
	first time.Time // of the changes that wait; zero: none does
}

// after takes a change, and returns how long to wait for the next.
func (c *calm) after(now time.Time) time.Duration {
	if c.first.IsZero() {
		c.first = now
	}
	return min(c.delay, max(0, c.first.Add(patienceDelays*c.delay).Sub(now)))
}

func (c *calm) over() { c.first = time.Time{} }

// filesChanged restarts all processes of the app's name that run.
func (d *Daemon) filesChanged(ap *application, file string) {
	d.cfg.Log.Info("file changed: restarted", "app", ap.name, "file", file)
	st := d.statuses()
	var running []*entry
	for _, other := range d.seeAll() {
		if other.name != ap.name || other.gone {
			continue
		}
		for _, e := range other.entries {
			if st[e.place].PID != 0 {
				running = append(running, e)
			}
		}
	}
	if err := d.host.Processes.Restart(places(running)...); err != nil {
		d.cfg.Log.Warn("not restarted", "app", ap.name, "error", err)
		return
	}
	d.commanded(running, st, false)
}

// addTree watches a file, or a folder and those below it. It returns what can't be watched; changes
// there pass unnoticed.
func (f *files) addTree(ctx context.Context, root string) (errs []error) {
	failed := func(path string, err error) {
		if !errors.Is(err, fs.ErrNotExist) || path == root { // below it, one that has gone meanwhile
			errs = append(errs, err)
		}
	}
	info, err := os.Stat(root)
	if err != nil || !info.IsDir() {
		if err == nil {
			err = f.Add(root)
		}
		if err != nil {
			failed(root, fmt.Errorf("%s: %w", root, err))
		}
		return errs
	}
	_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error { // it returns no error but of the function
		switch {
		case ctx.Err() != nil || errors.Is(errors.Join(errs...), syscall.ENOSPC): // the limit of watches: the rest would fail, too
			return fs.SkipAll
		case err != nil:
			failed(path, err)
			return nil
		case !e.IsDir():
			return nil
		case path != root && f.ignored(path):
			return filepath.SkipDir
		}
		if err := f.Add(path); err != nil {
			failed(path, fmt.Errorf("%s: %w", path, err))
		}
		return nil
	})
	return errs
}

// maxUnwatched is how many files and folders that can't be watched are named in the log.
const maxUnwatched = 5

// unwatched says what can't be watched.
func (f *files) unwatched(errs []error) {
	if len(errs) == 0 {
		return
	}
	err := errors.Join(errs[:min(len(errs), maxUnwatched)]...)
	log := f.log.With("app", f.app.Name, "places", len(errs), "error", err)
	if errors.Is(err, syscall.ENOSPC) {
		log.Warn("not watched; changes there don't restart the app: raise the sysctl fs.inotify.max_user_watches, or add to ignore_watch")
		return
	}
	log.Warn("not watched; changes there don't restart the app")
}

// ignored reports whether a change is of no matter: the app says so, or it is us who write there.
func (f *files) ignored(path string) bool {
	a := f.app
	if home := string(f.home); path == home || strings.HasPrefix(path, home+"/") {
		return true
	}
	for _, own := range []string{a.OutFile, a.ErrorFile, a.LogFile, a.PIDFile} { // with the process' id, and a rotated file's number
		if own != "" && strings.HasPrefix(path, strings.TrimSuffix(own, filepath.Ext(own))) {
			return true
		}
	}
	for _, p := range a.IgnoreWatch {
		if p.Match(a.Cwd, path) {
			return true
		}
	}
	return false
}
