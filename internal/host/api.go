package host

import (
	"context"
	"errors"

	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/sockets"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// openAPI opens the port of the app's HTTP API and starts the process that serves it, if the
// settings name a port. The host holds the port, so that a restart of the process refuses nobody.
func (d *Deployment) openAPI(ctx context.Context, notify func(Notice)) error {
	set := &d.app.Settings
	if config.IsOff(set.APIAddr) {
		return nil
	}
	if !d.app.Kind.Routed() {
		notify(Notice{Warning: true, Text: d.app.Name + ": SIDEREAL_API_ADDR has no effect, since the app's processes aren't linked with other servers"})
		return nil
	}
	if set.Adapter == adapterenv.Memory {
		return d.named(&config.ValueError{Variable: "SIDEREAL_API_ADDR", Value: set.APIAddr, Rule: "needs an adapter over Redis, not SIDEREAL_ADAPTER=memory"})
	}
	var door Door
	if d.app.Name == "" {
		l, err := sockets.Listen(ctx, "SIDEREAL_API_ADDR", set.APIAddr)
		if err != nil {
			return err
		}
		door.Listeners = append(door.Listeners, l)
	} else if err := d.listenAt(ctx, &door, set.APIAddr, "SIDEREAL_API_ADDR"); err != nil {
		return err
	}
	d.change(func() { d.api = door.Listeners[0] })
	err := d.host.Processes.Add(d.planned()[d.app.APIPlace()])
	if err != nil {
		d.change(func() { d.api = nil })
		closeAll(door.Listeners)
	}
	return err
}

// keyUse is the key by which an app's HTTP API reaches its servers: the settings', or that of Node
// servers which got our adapter.
type keyUse struct {
	injected bool // the servers got our adapter
	used     bool // the API's process knows
}

// strayAPIs are the apps whose HTTP API has another key than their servers.
func (h *Host) strayAPIs(st []supervisor.Status) (due []*Deployment) {
	now := ByName(st)
	for _, d := range h.deployments() {
		if !d.APISettled(now) {
			due = append(due, d)
		}
	}
	return due
}

// APISettled reports whether the app's HTTP API, if it has one, has the key of the servers that
// run.
func (d *Deployment) APISettled(now map[string]supervisor.Status) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.api == nil || d.app.Settings.AdapterKey != "" || d.state.Gone {
		return true
	}
	injected, ready := d.injectedLocked(now)
	return !ready || d.key == keyUse{injected: injected, used: true} || !injected && !d.key.injected
}

// injectedLocked reports whether a server of the processes that are ready got our adapter.
func (d *Deployment) injectedLocked(now map[string]supervisor.Status) (injected, ready bool) {
	for name := range d.slots {
		if st := now[name]; st.State == supervisor.Ready {
			ready = true
			n := st.Attrs[lifeline.ChildAdapters]
			injected = injected || n != "" && n != "0"
		}
	}
	return injected, ready
}

// settleAPI starts the HTTP API again with the key of the servers that run. Its port stays open.
func (d *Deployment) settleAPI() {
	now := d.host.Statuses()
	d.change(func() { d.key.injected, _ = d.injectedLocked(now) })
	place := d.app.APIPlace()
	err := errors.Join(d.host.Processes.Become(d.planned()[place]), d.host.Processes.Restart(place))
	if err != nil && !d.State().Gone {
		d.host.cfg.Log.Error("the HTTP API doesn't reach the app", "app", d.app.Name, "error", err)
	}
	d.change(func() { d.key.used = true })
	d.host.Processes.Poke()
}
