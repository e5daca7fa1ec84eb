package daemon

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sidereal-io/sidereal/internal/processfile"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// grow adds processes to an app until it has n. They are not started.
func (d *Daemon) grow(ap *application, n int) error {
	d.mu.Lock()
	var fresh []*entry
	for len(ap.entries) < n {
		e := d.newEntryLocked(ap)
		fresh = append(fresh, e)
	}
	d.mu.Unlock()
	return d.addPlaces(fresh)
}

func (d *Daemon) addPlaces(fresh []*entry) error {
	var specs []supervisor.Spec
	for _, e := range fresh {
		spec, err := d.spec(e)
		if err != nil {
			return err
		}
		specs = append(specs, spec)
	}
	return d.sup.Add(specs...)
}

// newEntryLocked puts a process into the list.
func (d *Daemon) newEntryLocked(ap *application) *entry {
	e := &entry{id: d.nextID, app: ap, instance: d.freeInstanceLocked(ap), uniqueID: rand.Text(), created: time.Now()}
	d.nextID++
	e.place = fmt.Sprintf("%s-%d", ap.key, e.id)
	d.openLogs(e)
	ap.entries = append(ap.entries, e)
	d.entries[e.id] = e
	d.byPlace[e.place] = e
	return e
}

// freeInstanceLocked is the lowest number that no process of the app's name has.
func (d *Daemon) freeInstanceLocked(ap *application) int {
	taken := map[int]bool{}
	for _, e := range d.entries {
		if e.app.app.Name == ap.app.Name {
			taken[e.instance] = true
		}
	}
	n := 0
	for taken[n] {
		n++
	}
	return n
}

// openLogs opens the log files of a process as PM2 names them.
func (d *Daemon) openLogs(e *entry) {
	a := &e.app.app
	open := func(set, kind string) *logFile {
		path := set
		if path == "" && kind != "" {
			path = filepath.Join(d.cfg.Home.Logs(), fileName(a.Name)+"-"+kind+".log")
		}
		if path == "" || path == processfile.LogOff || a.DisableLogs || d.cfg.NoFiles {
			return nil
		}
		if !a.MergeLogs {
			path = numbered(path, e.id)
		}
		l := d.logs.use(path)
		e.files = append(e.files, l)
		return l
	}
	from := source{e.id, a.Name}
	both := open(a.LogFile, "")
	e.out = newSink(from, streamOut, a, open(a.OutFile, "out"), both, &d.follow)
	e.err = newSink(from, streamErr, a, open(a.ErrorFile, "error"), both, &d.follow)
	if d.cfg.Output != nil {
		also := func(lines []byte) { d.sup.Print(e.place, lines) }
		if d.cfg.Raw {
			also = func(lines []byte) { d.cfg.Output.Write(lines) } // as above: who does not read misses them
		}
		e.out.also, e.err.also = also, also
	}
}

// resize brings an app to a number of processes. New ones are not started.
func (d *Daemon) resize(ctx context.Context, ap *application, n int) error {
	entries := d.entriesOf(ap)
	if n >= len(entries) {
		return d.grow(ap, n)
	}
	return d.forget(ctx, ap, entries[n:])
}
