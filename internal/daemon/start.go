package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/node"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// start carries a Start out.
func (d *Daemon) start(ctx context.Context, req Start, emit func(Event)) error {
	for i := range req.Apps {
		if err := req.Apps[i].Validate(); err != nil {
			return &Failure{Code: config.ExitUsage, Text: err.Error()}
		}
	}
	d.compareSettings(req.Settings, emit)
	var todo []func() error
	var errs []error
	for _, a := range req.Apps {
		do, err := d.startApp(ctx, a, req, emit)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		todo = append(todo, do)
	}
	return joined(append(errs, atOnce(todo)...))
}

// atOnce does things side by side, so that an app that does not come up keeps no other from it. It returns what went wrong, in
// their order.
func atOnce(todo []func() error) (errs []error) {
	results := make([]error, len(todo))
	var all sync.WaitGroup
	for i, do := range todo {
		all.Go(func() { results[i] = do() })
	}
	all.Wait()
	for _, err := range results {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// compareSettings names what this daemon was started with otherwise.
func (d *Daemon) compareSettings(theirs map[string]string, emit func(Event)) {
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		if ours, ok := d.cfg.Shown[name]; ok && ours != theirs[name] {
			emit(Event{Level: "warn", Text: fmt.Sprintf("the running daemon has %s=%s, not %s: `sidereal kill` and start again to change it", name, ours, theirs[name])})
		}
	}
}

// startApp puts an app that is new into the list, or finds the one that is known, and returns what then brings it to where the
// mode wants it.
func (d *Daemon) startApp(ctx context.Context, a pm2.App, req Start, emit func(Event)) (func() error, error) {
	known := d.known(&a)
	switch {
	case known != nil && d.see(known).gone:
		return nil, &Failure{Code: config.ExitFailed, Text: a.Name + ": is being deleted: try again"}
	case req.Mode == StartForce || known == nil:
		return d.create(ctx, a, a.Autostart, emit)
	case req.Mode == StartNew && d.running(known):
		return nil, &Failure{Code: config.ExitFailed, Text: fmt.Sprintf("%s: is running already: `sidereal restart %s`, or start it once more with -f", a.Name, a.Name)}
	case req.Mode == StartNew:
		return func() error { return d.renew(ctx, known, a, StartRestart, 0, emit) }, nil
	}
	return func() error { return d.renew(ctx, known, a, req.Mode, req.Parallel, emit) }, nil
}

// known finds the app of that name and namespace, the one of the same script first; nil: it is new.
func (d *Daemon) known(a *pm2.App) (found *application) {
	for _, ap := range d.seeAll() {
		if ap.name == a.Name && ap.names == a.Namespace && (found == nil || ap.app.Script == a.Script) {
			found = ap.application
		}
	}
	return found
}

// running reports whether a process of an app runs, or is about to.
func (d *Daemon) running(ap *application) bool {
	st := d.statuses()
	for _, e := range d.entriesOf(ap) {
		switch st[e.place].State {
		case supervisor.Stopped, supervisor.Errored, "":
		default:
			return true
		}
	}
	return false
}

// create puts a new app and its processes into the list, and returns what starts it.
func (d *Daemon) create(ctx context.Context, a pm2.App, start bool, emit func(Event)) (func() error, error) {
	held, interrupt := context.WithCancelCause(ctx)
	h := newHold(interrupt)
	ap, err := d.enlist(a, h)
	if err != nil {
		interrupt(nil)
		return nil, err
	}
	return func() error {
		defer d.release(ap, h)
		for _, w := range ap.warnings {
			emit(Event{Level: "warn", Name: a.Name, Text: w})
		}
		err := d.equip(held, ap, emit)
		if err == nil {
			err = held.Err()
		}
		if err == nil {
			err = d.addPlaces(d.entriesOf(ap))
		}
		if err != nil {
			return explained(held, ap, errors.Join(err, d.dissolve(ap)))
		}
		if !start {
			emit(Event{Level: "info", Name: a.Name, Step: "stopped", Text: "is in the list, and not started"})
			return nil
		}
		return explained(held, ap, d.launch(held, ap, d.entriesOf(ap), emit))
	}, nil
}

// enlist gives a new app its key, and its processes their ids. It belongs to the command that h is
// of.
func (d *Daemon) enlist(a pm2.App, h *hold) (*application, error) {
	base := a.Name
	if a.Namespace != "" && a.Namespace != "default" {
		base = a.Namespace + "." + a.Name
	}
	for i := 1; ; {
		key := base
		for {
			if i > 1 {
				key = fmt.Sprintf("%s.%d", base, i)
			}
			taken := false
			d.do(func(b *book) { taken = b.apps[key] != nil })
			if !taken {
				break
			}
			i++
		}
		ap, err := resolve(a, key) // which reads the program
		if err != nil {
			return nil, err
		}
		done := false
		d.do(func(b *book) {
			if done = b.apps[key] == nil; !done {
				return // another command was faster
			}
			b.apps[key] = ap
			ap.facts.in(b).hold = h
			for range a.Count(supervisor.Cores()) {
				d.newEntry(b, ap)
			}
		})
		if done {
			return ap, nil
		}
		if d.ended() {
			return nil, supervisor.ErrStopping
		}
	}
}

// ended reports whether the daemon has.
func (d *Daemon) ended() bool {
	select {
	case <-d.over:
		return true
	default:
		return false
	}
}

// equip gives an app what its processes need around them: a folder for sockets, Redis, a nodehost, a door.
func (d *Daemon) equip(ctx context.Context, ap *application, emit func(Event)) (err error) {
	if ap.shared() {
		return d.joinForks(ap)
	}
	dir, err := supervisor.NewRuntimeDir("", node.Preload)
	if err != nil {
		return err
	}
	d.change(ap, func(f *facts) { f.dir = dir })
	if err := d.serveAs(d.see(ap)); err != nil {
		return err
	}
	if ap.kind.Routed() {
		if err := d.connect(ctx, ap, emit); err != nil {
			return err
		}
	}
	now := d.see(ap)
	if ap.kind.NodeHosted() {
		plan, err := d.planOf(now)
		if err != nil {
			return err
		}
		if err := d.sup.Add(plan[ap.nodehost()]); err != nil {
			return err
		}
	}
	if ap.eager() {
		addr := now.doorAddr()
		if ap.kind == host.NodeCluster && d.ownerOf(addr, ap) != "" {
			return nil // PM2_PORT is for all apps of a shell: whether this one needs it shows when its workers are ready
		}
		return d.openDoor(ctx, ap, addr)
	}
	return nil
}

// serveAs has the app's services run as its processes do: sockets are for one user.
func (d *Daemon) serveAs(ap seen) error {
	who, err := whom(&ap.app)
	if err != nil {
		return &Failure{Code: config.ExitUsage, Text: prefixed(ap.name, err.Error())}
	}
	if who.user == nil {
		return nil
	}
	d.change(ap.application, func(f *facts) { f.user = who.user })
	if err := os.Lchown(ap.dir.Path, int(who.user.UID), int(who.user.GID)); err != nil {
		return fmt.Errorf("%s: its folder for sockets: %w", ap.name, err)
	}
	return nil
}

// connect finds the app's Redis.
func (d *Daemon) connect(ctx context.Context, ap *application, emit func(Event)) error {
	set := ap.set.Redis
	if set.RedisURL == "" {
		e, err := d.embed(ctx, ap)
		if err != nil {
			return err
		}
		set = e.set
		if ap.kind != host.Program { // which may never serve anybody
			emit(Event{Level: "info", Name: ap.name, Text: "no SIDEREAL_REDIS_URL: an embedded Redis serves this host only"})
		}
	}
	b, err := openBackend(ctx, set, ap.set.App.App, d.cfg.Log.Hook(quietly{}))
	if err != nil {
		return &Failure{Code: config.ExitUsage, Text: prefixed(ap.name, err.Error())}
	}
	d.change(ap, func(f *facts) { f.backend = b })
	local, err := b.reach(ctx, func(why error) {
		emit(Event{Level: "warn", Name: ap.name, Text: fmt.Sprintf("waiting for Redis at %s: %s", b.conn, strings.TrimPrefix(why.Error(), redisconn.ErrUnreachable.Error()+": "))})
	})
	if err != nil {
		return &Failure{Code: config.ExitCode(err), Text: prefixed(ap.name, err.Error())}
	}
	d.change(ap, func(f *facts) { f.local = local })
	if ap.set.RedisURL != "" {
		emit(Event{Level: "info", Name: ap.name, Text: "Redis at " + b.conn.String() + b.others(ctx, ap.set.HostName)})
	}
	return nil
}

// launch starts processes that are in the list and waits until they are up.
func (d *Daemon) launch(ctx context.Context, ap *application, entries []*entry, emit func(Event)) error {
	d.change(ap, func(f *facts) { f.problems = nil })
	w := d.watchFor(entries, up, emit)
	w.anyWill = true // another command may have started it
	if err := d.sup.Start(append(d.fallen(ap), places(entries)...)...); err != nil {
		return err
	}
	d.rewatch(ap)
	return w.wait(ctx)
}

// fallen are those that an app stands on and that were given up: a command is reason to try them again.
func (d *Daemon) fallen(ap *application) (names []string) {
	st := d.statuses()
	for _, name := range d.see(ap).support() {
		if st[name].State == supervisor.Errored {
			names = append(names, name)
		}
	}
	return names
}

func places(entries []*entry) (names []string) {
	for _, e := range entries {
		names = append(names, e.place)
	}
	return names
}

// joined makes one failure of several; nil of none.
func joined(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	f := &Failure{Code: config.ExitUsage}
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
		var one *Failure
		if !errors.As(err, &one) || one.Code != config.ExitUsage {
			f.Code = config.ExitFailed
		}
	}
	f.Text = strings.Join(texts, "\n")
	return f
}
