package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// dump is a saved list.
type dump struct {
	Version int         `json:"version"`
	Apps    []dumpedApp `json:"apps"`
}

type dumpedApp struct {
	App       pm2.App `json:"app"`
	Instances int     `json:"instances"`
	Stopped   bool    `json:"stopped,omitempty"` // by command: it is listed, and not started
}

const dumpVersion = 1

// save writes the list down. The file before it stays as .bak.
func (d *Daemon) save(force bool) (Saved, error) {
	s := Saved{File: d.cfg.Home.Dump()}
	out := dump{Version: dumpVersion, Apps: []dumpedApp{}}
	st := d.statuses()
	for _, ap := range d.seeAll() {
		if ap.gone {
			continue
		}
		entries, stopped := ap.entries, true
		for _, e := range entries {
			stopped = stopped && st[e.place].State == supervisor.Stopped
		}
		out.Apps = append(out.Apps, dumpedApp{App: ap.app, Instances: len(entries), Stopped: stopped})
		s.Apps++
		s.Processes += len(entries)
	}
	if s.Processes == 0 && !force {
		if old, err := readDump(s.File); err == nil && len(old.Apps) > 0 {
			s.Kept = true
			return s, nil
		}
	}
	return s, writeDump(s.File, out)
}

// ClearDump makes the saved list of a home folder an empty one.
func ClearDump(home Home) error {
	return writeDump(home.Dump(), dump{Version: dumpVersion, Apps: []dumpedApp{}})
}

func writeDump(path string, out dump) error {
	raw, err := json.MarshalIndent(out, "", "  ")
	if err == nil {
		err = replace(path, raw)
	}
	if err != nil {
		return fmt.Errorf("daemon: save: %w", err)
	}
	return nil
}

// replace writes a file in one step, and keeps the one before it.
func replace(path string, raw []byte) error {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) // environments hold secrets
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	os.Remove(path + ".bak")
	if err := os.Link(path, path+".bak"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(next, path)
}

func readDump(path string) (in dump, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return in, err
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return in, fmt.Errorf("%s: %w", path, err)
	}
	if in.Version > dumpVersion {
		return in, fmt.Errorf("%s was written by a newer version", path)
	}
	return in, nil
}

// resurrect starts what was saved and does not run.
func (d *Daemon) resurrect(ctx context.Context, emit func(Event)) error {
	path := d.cfg.Home.Dump()
	saved, err := readDump(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Failure{Code: config.ExitFailed, Text: "no list was saved: `sidereal save` does"}
	}
	if err != nil {
		emit(Event{Level: "warn", Text: err.Error() + ": the one before it is used"})
		if saved, err = readDump(path + ".bak"); err != nil {
			return &Failure{Code: config.ExitFailed, Text: err.Error()}
		}
	}
	var errs []error
	var todo []func() error
	taken := map[*application]bool{} // the list may have several apps of one name and script
	for _, one := range saved.Apps {
		if known := d.known(&one.App, taken); known != nil && d.see(known).app.Script == one.App.Script {
			taken[known] = true
			emit(Event{Level: "info", Name: one.App.Name, Text: "is in the list already"})
			continue
		}
		a := one.App
		if one.Instances > 0 {
			a.Instances = one.Instances
		}
		if err := a.Validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		ap, do, err := d.create(ctx, a, nil, a.Autostart && !one.Stopped, emit)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		taken[ap] = true
		todo = append(todo, do)
	}
	return joined(append(errs, atOnce(todo)...))
}
