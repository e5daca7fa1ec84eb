package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// defaultAddr is the address of apps that name none.
const defaultAddr = ":8080"

// retryPort is how often a host tries a port that it waits for.
const retryPort = 50 * time.Millisecond

// Addr is the address that clients reach the app at, unless its processes listen on one of their
// own.
func (a *App) Addr() string {
	switch {
	case a.Settings.Addr != "":
		return a.Settings.Addr
	case a.Port != 0:
		return ":" + strconv.Itoa(a.Port)
	}
	return defaultAddr
}

func (d *Deployment) addr() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.addrLocked()
}

func (d *Deployment) addrLocked() string {
	app := d.app
	app.Port = d.port
	return app.Addr()
}

// SetPort changes App.Port for a door that opens later.
func (d *Deployment) SetPort(port int) { d.change(func() { d.port = port }) }

// openDoor has the app's router serve an address. It does nothing if the router serves it already.
// It fails if another app has the port.
func (d *Deployment) openDoor(ctx context.Context, addr string) error {
	d.host.opening.Lock() // the first one makes the router
	defer d.host.opening.Unlock()
	if _, open := d.doorAt(addr); open {
		return nil
	}
	first := d.State().Advertise == ""
	door, err := d.listen(ctx, addr, first)
	if err != nil {
		return err
	}
	door.Router, door.App = d.app.RouterPlace(), d.app.Settings.App.App
	d.add(door, first)
	if !first {
		return d.opened(door, d.host.Processes.Serve(door.Router, door.Listeners[0]))
	}
	plan := d.planned()
	if err := d.opened(door, d.host.Processes.Add(plan[door.Router])); err != nil || !d.app.Kind.NodeHosted() {
		return err
	}
	place := d.app.NodeHostPlace()
	return errors.Join(d.host.Processes.Tell(place, lifeline.Advertise, door.Advertise), d.host.Processes.Become(plan[place]))
}

// openSideDoor has a router of its own serve a further port of processes that listen on several.
// The app behind it is another one of the directory (ADR 0011).
func (d *Deployment) openSideDoor(ctx context.Context, addr string) error {
	d.host.opening.Lock()
	defer d.host.opening.Unlock()
	if _, open := d.doorAt(addr); open {
		return nil
	}
	door, err := d.listen(ctx, addr, false)
	if err != nil {
		return err
	}
	port := portOf(door.Listeners[0])
	door.Router, door.App = fmt.Sprintf("%s-%d", d.app.RouterPlace(), port), directory.PortApp(d.app.Settings.App.App, port)
	d.add(door, false)
	return d.opened(door, d.host.Processes.Add(d.planned()[door.Router]))
}

func (d *Deployment) add(door Door, first bool) {
	d.change(func() {
		d.state.Doors = append(slices.Clone(d.state.Doors), door)
		if first {
			d.state.Advertise = door.Advertise
		}
	})
}

// opened takes a door away again if no router serves it.
func (d *Deployment) opened(door Door, err error) error {
	if err == nil {
		return nil
	}
	d.change(func() {
		d.state.Doors = slices.DeleteFunc(slices.Clone(d.state.Doors), func(have Door) bool { return have.Wanted == door.Wanted })
		if len(d.state.Doors) == 0 {
			d.state.Advertise = ""
		}
	})
	closeAll(door.Listeners)
	return err
}

// listen opens an address, with the one that redirects to it if redirects holds, and finds out how
// other hosts reach it.
func (d *Deployment) listen(ctx context.Context, addr string, redirects bool) (door Door, err error) {
	var local netip.Addr
	gone := false
	d.change(func() { local, gone = d.local, d.state.Gone })
	if gone { // opening is held, so an app that isn't gone stays
		return door, supervisor.ErrNoPlace
	}
	door.Wanted = addr
	if s := d.opts.Sockets; s != nil && redirects {
		door.Listeners, door.Redirect = s.All()
	} else {
		variable := "PM2_PORT or SIDEREAL_ADDR"
		if addr != d.addr() {
			variable = "port" // of a process that listens, which no variable changes
		}
		if err := d.listenAt(ctx, &door, addr, variable); err != nil {
			return door, err
		}
		if redirect := d.app.Settings.RedirectAddr; redirects && redirect != "" {
			if err := d.listenAt(ctx, &door, redirect, "SIDEREAL_REDIRECT_ADDR"); err != nil {
				closeAll(door.Listeners)
				return door, err
			}
			door.Redirect = 2
		}
	}
	door.Advertise, err = config.Door{Advertise: d.app.Settings.Advertise}.Advertised(door.Listeners[0].Addr().String(), local)
	if err != nil {
		closeAll(door.Listeners)
	}
	return door, d.named(err)
}

// listenAt opens a port that variable names. For a while after a host was killed, its processes may
// still hold the port.
func (d *Deployment) listenAt(ctx context.Context, door *Door, addr, variable string) error {
	for {
		l, err := supervisor.Listen(ctx, addr)
		if err == nil {
			door.Listeners = append(door.Listeners, l)
			return nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%s: listen on %s: %w", d.app.Name, addr, err)
		}
		if owner := d.host.ownerOf(addr, d); owner != "" {
			return fmt.Errorf("%s: port %s is served for the app %s: give one of them another %s", d.app.Name, portText(addr), owner, variable)
		}
		if time.Now().After(d.host.awaitPorts) {
			return fmt.Errorf("%s: %s is in use by another process: set another %s", d.app.Name, addr, variable)
		}
		select {
		case <-time.After(retryPort):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func closeAll(listeners []*net.TCPListener) {
	for _, l := range listeners {
		l.Close()
	}
}

// doorAt is the door for an address that processes asked for, or the settings name.
func (d *Deployment) doorAt(addr string) (door Door, open bool) {
	doors := d.State().Doors
	i := slices.IndexFunc(doors, func(have Door) bool { return have.Wanted == addr })
	if i < 0 {
		return door, false
	}
	return doors[i], true
}

// ownerOf names the app that has a port and isn't the one that asks; empty for none.
func (h *Host) ownerOf(addr string, asks *Deployment) string {
	port, err := strconv.Atoi(portText(addr))
	if err != nil {
		return ""
	}
	for _, d := range h.deployments() {
		if d == asks {
			continue
		}
		for _, door := range d.State().Doors {
			if slices.ContainsFunc(door.Listeners, func(l *net.TCPListener) bool { return portOf(l) == port }) {
				return d.app.Name
			}
		}
	}
	return ""
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

func portText(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return port
}

// openDoors opens the default doors of apps whose processes turn out to need one: they are ready
// and in the directory, and didn't listen anywhere. It returns when ctx or the supervisor ends.
func (h *Host) openDoors(ctx context.Context) {
	for {
		var due []*Deployment
		err := h.Processes.Wait(ctx, func(st []supervisor.Status) bool {
			due = h.doorless(st)
			return len(due) > 0
		})
		if err != nil {
			return
		}
		for _, d := range due {
			if err := d.openDoor(ctx, d.addr()); err != nil {
				d.problem(err)
			}
		}
	}
}

// doorless are the apps that need a door.
func (h *Host) doorless(st []supervisor.Status) (due []*Deployment) {
	for i := range st {
		if st[i].State != supervisor.Ready || st[i].Attrs[lifeline.Worker] == "" || st[i].Attrs[supervisor.ReadyBy] == "listening" {
			continue
		}
		d := h.at(st[i].Name)
		if d == nil || !d.app.Kind.Routed() || slices.Contains(due, d) {
			continue
		}
		if s := d.State(); len(s.Doors) == 0 && len(s.Problems) == 0 && !s.Gone {
			due = append(due, d)
		}
	}
	return due
}

// listens serves a port that a process wants, and tells the app's node host how that went.
func (h *Host) listens(place, addr string) {
	d := h.at(place)
	if d == nil || !d.app.Kind.Routed() {
		return
	}
	side := false
	d.change(func() {
		if d.asked[place] == "" {
			d.asked[place] = addr
		}
		side = d.asked[place] != addr
	})
	open := d.openDoor
	if side {
		open = d.openSideDoor
	}
	answer := lifeline.ListenedTold{Addr: addr}
	if err := open(context.Background(), addr); err != nil { // it waits until awaitPorts at most
		d.problem(err)
		answer.Error = "EADDRINUSE"
		if errors.Is(err, syscall.EACCES) {
			answer.Error = "EACCES"
		}
	} else if door, ok := d.doorAt(addr); side && ok {
		answer.Advertise = door.Advertise
	}
	if raw, err := json.Marshal(answer); err == nil {
		_ = h.Processes.Tell(d.app.NodeHostPlace(), lifeline.Listened, string(raw)) // a node host that has ended asks again
	}
}

// problem records what keeps clients from reaching the app.
func (d *Deployment) problem(err error) {
	known := false
	d.change(func() {
		known = d.state.Gone || slices.Contains(d.state.Problems, err.Error()) // each process of the app may meet it
		if !known {
			d.state.Problems = append(slices.Clone(d.state.Problems), err.Error())
		}
	})
	if !known {
		d.host.cfg.Log.Error("clients can't reach the app", "app", d.app.Name, "error", err)
	}
	d.host.Processes.Poke()
}

// ForgetProblems clears what kept clients from reaching the app: the next attempt shows whether it
// still does.
func (d *Deployment) ForgetProblems() { d.change(func() { d.state.Problems = nil }) }
