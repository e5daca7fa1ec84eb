package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// orphanTime is how long the processes of a daemon that was killed may take to end, and to let their ports go. They are looked
// for where it left its socket.
const orphanTime = 2 * time.Second

// door is an address that a router of the app serves.
type door struct {
	wanted    string // as it was asked for
	advertise string // how other hosts reach it
	router    string // the place of its router
	app       string // of the directory, behind that router
	listener  *net.TCPListener
	redirect  *net.TCPListener // sends clients of plain HTTP here; nil: none does
}

// has reports whether a port is the door's.
func (d *door) has(port int) bool {
	return portOf(d.listener) == port || d.redirect != nil && portOf(d.redirect) == port
}

// listeners are what the door's router inherits, and which of them sends clients on, counted from 1; 0: none does.
func (d *door) listeners() (all []*net.TCPListener, redirect int) {
	if d.redirect == nil {
		return []*net.TCPListener{d.listener}, 0
	}
	return []*net.TCPListener{d.listener, d.redirect}, 2
}

func (d *door) close() {
	d.listener.Close()
	if d.redirect != nil {
		d.redirect.Close()
	}
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// openDoor has the app's router serve an address. One that it serves already is fine; that of another app is not.
func (d *Daemon) openDoor(ctx context.Context, ap *application, addr string) error {
	d.doorway.Lock() // one at a time: the first makes the router
	defer d.doorway.Unlock()
	if d.hasDoor(ap, addr) {
		return nil
	}
	next, err := d.newDoor(ctx, ap, addr)
	if err != nil {
		return err
	}
	next.router, next.app = ap.router(), ap.set.App.App
	first := d.see(ap).advertise == ""
	if first && ap.set.RedirectAddr != "" {
		if next.redirect, err = d.listen(ctx, ap, ap.set.RedirectAddr, "SIDEREAL_REDIRECT_ADDR"); err != nil {
			next.listener.Close()
			return err
		}
	}
	d.change(ap, func(f *facts) {
		if first {
			f.advertise = next.advertise
		}
		f.doors = append(f.doors, next)
	})
	if !first {
		return d.opened(ap, next, d.sup.Serve(next.router, next.listener))
	}
	if err := d.opened(ap, next, d.addRouter(ap, next)); err != nil || !ap.kind.NodeHosted() {
		return err
	}
	plan, err := d.planOf(d.see(ap))
	if err != nil {
		return err
	}
	return errors.Join(d.sup.Tell(ap.nodehost(), lifeline.Advertise, next.advertise), d.sup.Become(plan[ap.nodehost()]))
}

// addRouter brings the router of a door.
func (d *Daemon) addRouter(ap *application, door *door) error {
	plan, err := d.planOf(d.see(ap))
	if err != nil {
		return err
	}
	return d.sup.Add(plan[door.router])
}

// opened takes a door away again that no router serves.
func (d *Daemon) opened(ap *application, dr *door, err error) error {
	if err == nil {
		return nil
	}
	d.change(ap, func(f *facts) {
		f.doors = slices.DeleteFunc(f.doors, func(have *door) bool { return have == dr })
		if f.advertise == dr.advertise && len(f.doors) == 0 {
			f.advertise = ""
		}
	})
	dr.close()
	return err
}

// openSideDoor has a router of its own serve a further port of processes that listen on several: what is behind it is another
// app of the directory (docs/adr/0011).
func (d *Daemon) openSideDoor(ctx context.Context, ap *application, addr string) error {
	d.doorway.Lock()
	defer d.doorway.Unlock()
	if d.hasDoor(ap, addr) {
		return nil
	}
	side, err := d.newDoor(ctx, ap, addr)
	if err != nil {
		return err
	}
	port := portOf(side.listener)
	side.router = fmt.Sprintf("%s-%d", ap.router(), port)
	side.app = directory.PortApp(ap.set.App.App, port)
	d.change(ap, func(f *facts) { f.doors = append(f.doors, side) })
	return d.opened(ap, side, d.addRouter(ap, side))
}

// newDoor listens, and tells how other hosts get there.
func (d *Daemon) newDoor(ctx context.Context, ap *application, addr string) (*door, error) {
	now := d.see(ap)
	if now.gone { // doorway is held: it doesn't go from here on
		return nil, supervisor.ErrNoPlace
	}
	l, err := d.listen(ctx, ap, addr, "PM2_PORT or SIDEREAL_ADDR")
	if err != nil {
		return nil, err
	}
	advertise, err := config.Door{Advertise: ap.set.Advertise}.Advertised(l.Addr().String(), now.local)
	if err != nil {
		l.Close()
		return nil, &Failure{Code: config.ExitUsage, Text: prefixed(ap.name, err.Error())}
	}
	return &door{wanted: addr, advertise: advertise, listener: l}, nil
}

func (d *Daemon) hasDoor(ap *application, addr string) bool { return d.doorOf(ap, addr) != nil }

// doorOf is the door that was asked for by an address; nil: there is none.
func (d *Daemon) doorOf(ap *application, addr string) *door {
	for _, have := range d.see(ap).doors {
		if have.wanted == addr {
			return have
		}
	}
	return nil
}

// listen opens a port that variable names. One that is in use may still be held by what a killed daemon left, for a moment.
func (d *Daemon) listen(ctx context.Context, ap *application, addr, variable string) (*net.TCPListener, error) {
	for {
		l, err := supervisor.Listen(ctx, addr)
		if !errors.Is(err, syscall.EADDRINUSE) {
			if err != nil {
				err = &Failure{Code: config.ExitFailed, Text: fmt.Sprintf("%s: %s cannot be listened on: %v", ap.name, addr, err), cause: err}
			}
			return l, err
		}
		if owner := d.ownerOf(addr, ap); owner != "" {
			return nil, &Failure{Code: config.ExitFailed, Text: fmt.Sprintf(
				"%s: port %s is served for the app %s: give one of them another %s", ap.name, portText(addr), owner, variable)}
		}
		if !d.succeeds || time.Now().After(d.started.Add(orphanTime)) {
			return nil, &Failure{Code: config.ExitFailed, Text: fmt.Sprintf(
				"%s: %s is in use by another process: set another %s", ap.name, addr, variable)}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ownerOf is the name of another app that has a port; empty: none of ours.
func (d *Daemon) ownerOf(addr string, asks *application) string {
	port, err := strconv.Atoi(portText(addr))
	if err != nil {
		return ""
	}
	for _, ap := range d.seeAll() {
		for _, have := range ap.doors {
			if ap.application != asks && have.has(port) {
				return ap.name
			}
		}
	}
	return ""
}

func portText(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return port
}

// doorAddr is the address of an app that does not say one by listening.
func (ap seen) doorAddr() string {
	if ap.set.Addr != "" {
		return ap.set.Addr
	}
	if ap.kind == host.Worker || ap.kind == host.Program { // their own PORT, if any, is ours to give
		if ap.app.Port != 0 {
			return ":" + strconv.Itoa(ap.app.Port)
		}
		if port, err := strconv.Atoi(ap.app.Env["PORT"]); err == nil && port > 0 && port < 1<<16 {
			return ":" + strconv.Itoa(port)
		}
	}
	return defaultAddr
}

// defaultAddr is the address of apps that name none.
const defaultAddr = ":8080"

// guessAdvertise is how other hosts will reach this app, as long as no door is open: a nodehost is told when it turns out
// otherwise.
func (ap seen) guessAdvertise() string {
	if ap.advertise != "" || !ap.local.IsValid() { // no Redis: nobody is told
		return ap.advertise
	}
	advertise, err := config.Door{Advertise: ap.set.Advertise}.Advertised(ap.doorAddr(), ap.local)
	if err != nil {
		return ""
	}
	return advertise
}

// eager reports whether the app's door is opened before any process is ready: where it is certain that it will be needed.
func (ap *application) eager() bool { return ap.kind == host.Worker }

// tend opens the default door of apps whose processes turn out to need one: those that are ready and in the directory without
// having listened anywhere.
func (d *Daemon) tend(ctx context.Context) {
	for {
		var due []*application
		err := d.sup.Wait(ctx, func(st []supervisor.Status) bool {
			due = d.doorless(st)
			return len(due) > 0
		})
		if err != nil {
			return
		}
		for _, ap := range due {
			if err := d.openDoor(ctx, ap, d.see(ap).doorAddr()); err != nil {
				d.problem(ap, err)
			}
		}
	}
}

// doorless are the apps that have to be given a door.
func (d *Daemon) doorless(st []supervisor.Status) (due []*application) {
	d.do(func(b *book) {
		for i := range st {
			e := b.byPlace[st[i].Name]
			if e == nil || st[i].State != supervisor.Ready || st[i].Attrs[lifeline.Worker] == "" || st[i].Attrs[supervisor.ReadyBy] == "listening" {
				continue
			}
			f := e.app.facts.in(b)
			if e.app.kind.Routed() && len(f.doors) == 0 && len(f.problems) == 0 && !f.gone {
				due = append(due, e.app)
			}
		}
	})
	return due
}

// listens serves a port that a process wants, and tells its nodehost how that went.
func (d *Daemon) listens(place, addr string) {
	var e *entry
	side := false
	d.do(func(b *book) {
		if e = b.byPlace[place]; e != nil {
			f := e.facts.in(b)
			if f.listens == "" {
				f.listens = addr
			}
			side = f.listens != addr
		}
	})
	if e == nil || !e.app.kind.Routed() {
		return
	}
	open := d.openDoor
	if side {
		open = d.openSideDoor
	}
	answer := lifeline.ListenedTold{Addr: addr}
	if err := open(context.Background(), e.app, addr); err != nil {
		d.problem(e.app, err)
		answer.Error = "EADDRINUSE"
		if errors.Is(err, syscall.EACCES) {
			answer.Error = "EACCES"
		}
	} else if have := d.doorOf(e.app, addr); side && have != nil {
		answer.Advertise = have.advertise
	}
	if raw, err := json.Marshal(answer); err == nil {
		d.sup.Tell(e.app.nodehost(), lifeline.Listened, string(raw)) // one that is gone asks again
	}
}

// problem notes what keeps an app from serving.
func (d *Daemon) problem(ap *application, err error) {
	known := false
	d.change(ap, func(f *facts) {
		known = f.gone || slices.Contains(f.problems, err.Error()) // each of its processes may have met it
		if !known {
			f.problems = append(f.problems, err.Error())
		}
	})
	if !known {
		d.cfg.Log.Error().Str("app", ap.name).Err(err).Msg("app cannot be reached")
	}
	d.sup.Poke()
}
