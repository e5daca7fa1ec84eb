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
	if first {
		if err := d.advertised(&door); err != nil {
			return err
		}
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
	if err := d.advertised(&door); err != nil {
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

// listen opens an address, with the one that redirects to it if redirects holds.
func (d *Deployment) listen(ctx context.Context, addr string, redirects bool) (door Door, err error) {
	if d.State().Gone { // opening is held, so an app that isn't gone stays
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
	return door, nil
}

// advertised finds out how other hosts reach a door. It closes one that they can't reach.
func (d *Deployment) advertised(door *Door) (err error) {
	var local netip.Addr
	d.change(func() { local = d.local })
	door.Advertise, err = config.Door{Advertise: d.app.Settings.Advertise}.Advertised(door.Listeners[0].Addr().String(), local)
	if err != nil {
		closeAll(door.Listeners)
	}
	return d.named(err)
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
			return &ownedError{d.app.Name, portText(addr), owner, variable}
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

// ownedError reports a port that another app of the host has.
type ownedError struct{ app, port, owner, variable string }

func (e *ownedError) Error() string {
	return fmt.Sprintf("%s: port %s is served for the app %s: give one of them another %s", e.app, e.port, e.owner, e.variable)
}

func closeAll(listeners []*net.TCPListener) {
	for _, l := range listeners {
		l.Close()
	}
}

// doorAt is the door that serves an address that processes asked for, or the settings name.
func (d *Deployment) doorAt(addr string) (door Door, open bool) {
	doors := d.State().Doors
	i := slices.IndexFunc(doors, func(have Door) bool { return covers(have.Wanted, addr) })
	if i < 0 {
		return door, false
	}
	return doors[i], true
}

// covers reports whether a listener at have serves all of addr.
func covers(have, addr string) bool {
	if have == addr {
		return true
	}
	host, port, err := net.SplitHostPort(have)
	_, wanted, err2 := net.SplitHostPort(addr)
	if err != nil || err2 != nil || port != wanted || port == "0" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified() // Go listens on both families then
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

// openGiven has the app's router serve the address that the settings name, although the processes
// listen at one of their own. An app that has no other address comes first: while that may need
// this one, openGiven does nothing, and openDoors calls it again.
func (d *Deployment) openGiven(ctx context.Context) {
	given := d.app.Settings.Addr
	if given == "" || d.host.isNeeded(d.host.Processes.Status(), given, d) {
		return
	}
	var owned *ownedError
	switch err := d.openDoor(ctx, given); {
	case errors.As(err, &owned): // clients reach both apps
		d.warn(err)
	case err != nil:
		d.problem(err)
	}
}

// isNeeded reports whether an app other than the one that asks wants the same port, and may have
// no other.
func (h *Host) isNeeded(st []supervisor.Status, addr string, asks *Deployment) bool {
	var rivals []*Deployment
	for _, d := range h.deployments() {
		st := d.State()
		if d != asks && d.app.Kind.Routed() && portText(d.addr()) == portText(addr) && len(st.Doors) == 0 && len(st.Problems) == 0 && !st.Gone {
			if d.isOpening() {
				return true
			}
			rivals = append(rivals, d)
		}
	}
	return len(rivals) > 0 && slices.ContainsFunc(st, func(st supervisor.Status) bool {
		coming := st.State == supervisor.Starting || st.State == supervisor.Waiting && st.Starts == 0 ||
			st.State == supervisor.Ready && st.Attrs[supervisor.ReadyBy] != byListening
		return coming && slices.Contains(rivals, h.at(st.Name))
	})
}

// isOpening reports whether the app is yet to get its first processes.
func (d *Deployment) isOpening() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.staffed
}

// byListening is the reason why a process is ready that listens at an address of its own.
const byListening = "listening"

// openDoors opens the doors of apps whose processes turn out to need one: they are ready and in the
// directory, and didn't listen anywhere, or not where the settings say. It also gives HTTP APIs the
// keys of their servers. It returns when ctx or the supervisor ends.
func (h *Host) openDoors(ctx context.Context) {
	for {
		var due, strays []*Deployment
		err := h.Processes.Wait(ctx, func(st []supervisor.Status) bool {
			due, strays = h.doorless(st), h.strayAPIs(st)
			return len(due)+len(strays) > 0
		})
		if err != nil {
			return
		}
		for _, d := range strays {
			d.settleAPI()
		}
		for _, d := range due {
			if len(d.State().Doors) > 0 {
				d.openGiven(ctx)
			} else if err := d.openDoor(ctx, d.addr()); err != nil {
				d.problem(err)
			}
		}
	}
}

// doorless are the apps that need a door.
func (h *Host) doorless(st []supervisor.Status) (due []*Deployment) {
	for i := range st {
		if st[i].State != supervisor.Ready || st[i].Attrs[lifeline.Worker] == "" {
			continue
		}
		d := h.at(st[i].Name)
		if d == nil || !d.app.Kind.Routed() || slices.Contains(due, d) {
			continue
		}
		s := d.State()
		lacks := len(s.Doors) == 0 && st[i].Attrs[supervisor.ReadyBy] != byListening || h.lacksGiven(st, d)
		if lacks && len(s.Problems) == 0 && !s.Gone {
			due = append(due, d)
		}
	}
	return due
}

// lacksGiven reports whether an app that listens isn't served yet where its settings say.
func (h *Host) lacksGiven(st []supervisor.Status, d *Deployment) bool {
	given, s := d.app.Settings.Addr, d.State()
	if given == "" || len(s.Doors) == 0 || len(s.Warnings) > 0 || h.isNeeded(st, given, d) {
		return false
	}
	_, open := d.doorAt(given)
	return !open
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
	} else if !covers(addr, d.app.Settings.Addr) { // the given one first: other hosts are told of it
		d.openGiven(context.Background()) // it waits until awaitPorts at most
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

// warn records that the app isn't served at an address, although clients reach it at another.
func (d *Deployment) warn(err error) {
	known := false
	d.change(func() {
		known = len(d.state.Warnings) > 0 // each process of the app may meet it
		d.state.Warnings = []string{err.Error()}
	})
	if known {
		return
	}
	d.host.cfg.Log.Warn("the app isn't served where its settings say", "app", d.app.Name, "error", err)
	d.host.Processes.Poke()
}

// ForgetProblems clears what kept clients from reaching the app: the next attempt shows whether it
// still does.
func (d *Deployment) ForgetProblems() {
	d.change(func() { d.state.Problems, d.state.Warnings = nil, nil })
}
