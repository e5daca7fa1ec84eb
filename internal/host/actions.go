package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/dashboard"
	"github.com/sidereal-io/sidereal/internal/rebalance"
	"github.com/sidereal-io/sidereal/internal/supervisor"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Actions carries out what operators ask for at the dashboard.
type Actions struct {
	host  *Host
	steer func(ctx context.Context, verb string, place string) (int, error)
}

var _ dashboard.Actor = (*Actions)(nil)

// Actions makes the host's actions. steer does one of Drain, Start and Reload to the app process at
// a place, or to all of them if place is empty. It returns to how many.
func (h *Host) Actions(steer func(ctx context.Context, verb, place string) (int, error)) *Actions {
	return &Actions{h, steer}
}

// Verbs implements dashboard.Actor.
func (a *Actions) Verbs() []string {
	verbs := []string{dashboard.Drain, dashboard.Start, dashboard.Reload}
	for _, d := range a.host.deployments() {
		if d.reachable() {
			verbs = append(verbs, dashboard.Disconnect, dashboard.Emit)
		}
		if d.shared() {
			verbs = append(verbs, dashboard.Rebalance)
		}
	}
	slices.Sort(verbs)
	return slices.Compact(verbs)
}

// reachable reports whether a message through Redis reaches the app's servers.
func (d *Deployment) reachable() bool {
	return d.app.Kind.Routed() && d.app.Settings.Adapter != adapterenv.Memory
}

// shared reports whether the app may have other hosts.
func (d *Deployment) shared() bool { return d.app.Kind.Routed() && d.app.Settings.RedisURL != "" }

var errElsewhere = errors.New("this is a process of another host: open that host's dashboard")

// Do implements dashboard.Actor.
func (a *Actions) Do(ctx context.Context, what dashboard.Action) (string, error) {
	switch what.Do {
	case dashboard.Drain, dashboard.Start, dashboard.Reload:
		if what.Host != a.host.Name() {
			return "", errElsewhere
		}
		n, err := a.steer(ctx, what.Do, what.Process)
		if err != nil {
			return "", err
		}
		done := map[string]string{dashboard.Drain: "drained and stopped", dashboard.Start: "started", dashboard.Reload: "reloaded"}
		return fmt.Sprintf("%s %s", processes(n), done[what.Do]), nil
	case dashboard.Rebalance:
		return a.each(what.App, (*Deployment).shared, func(d *Deployment) (string, error) { return d.rebalance(ctx) })
	}
	return a.each(what.App, (*Deployment).reachable, func(d *Deployment) (string, error) { return d.send(ctx, &what) })
}

func processes(n int) string {
	if n == 1 {
		return "1 process was"
	}
	return fmt.Sprintf("%d processes were", n)
}

// each calls f for the apps of a name, or for all, and joins the results.
func (a *Actions) each(app string, suits func(*Deployment) bool, f func(*Deployment) (string, error)) (string, error) {
	var texts []string
	var errs []error
	done := map[string]bool{} // of two apps with one name and one Redis, each server hears once
	for _, d := range a.host.deployments() {
		name := d.app.Settings.App.App
		if !suits(d) || app != "" && name != app || done[name+" "+d.app.Settings.RedisURL] {
			continue
		}
		done[name+" "+d.app.Settings.RedisURL] = true
		text, err := f(d)
		errs = append(errs, err)
		if err == nil {
			texts = append(texts, text)
		}
	}
	if len(errs) == 0 {
		return "", errors.New("no app of this host can do that")
	}
	return strings.Join(texts, "; "), errors.Join(errs...)
}

// send tells the app's servers, on all hosts, to disconnect a client, or emits an event.
func (d *Deployment) send(ctx context.Context, what *dashboard.Action) (string, error) {
	c := d.Cluster()
	if c == nil {
		return "", errWaiting
	}
	cfg := adapterenv.Emitter(d.app.Settings.Cluster)
	now := d.host.Statuses()
	d.change(func() {
		if injected, _ := d.injectedLocked(now); injected {
			cfg.Key = adapterenv.ServerKey(d.app.Settings.Cluster, d.app.Settings.App.App, 1)
		}
	})
	cfg.Redis, cfg.Log = c.Conn.Client(), d.host.cfg.Log
	e, err := emitter.New(cfg)
	if err != nil {
		return "", err
	}
	to := e.Of(what.Namespace).To()
	if room := what.Socket + what.Room; room != "" {
		to = e.Of(what.Namespace).To(room)
	}
	if what.Do == dashboard.Disconnect {
		return "the servers were told to disconnect the client", to.DisconnectSockets(ctx, true)
	}
	args, err := packet.ParseArgs(what.Args, 0)
	if err != nil {
		return "", err
	}
	return "the servers got the event", to.Emit(ctx, what.Event, args)
}

// rebalance moves sessions between the app's hosts, and waits until they have moved.
func (d *Deployment) rebalance(ctx context.Context) (string, error) {
	c := d.Cluster()
	if c == nil {
		return "", errWaiting
	}
	p, err := rebalance.Once(ctx, c.Directory, d.app.Settings.App.App, float64(d.app.Settings.BalanceSlack)/100)
	switch {
	case err != nil:
		return "", err
	case len(p.Waits) > 0:
		return "", fmt.Errorf("not now: %s", strings.Join(p.Waits, "; "))
	case p.Moves == 0:
		return "nothing to move", nil
	}
	return fmt.Sprintf("%d sessions were told to move", p.Moves), p.Follow(ctx, c.Directory)
}

// steer drains, starts or reloads workers of `sidereal up`.
func (r *run) steer(ctx context.Context, verb, place string) (int, error) {
	if !r.opened.Load() {
		return 0, errWaiting
	}
	workers := r.cfg.processes()
	if place != "" {
		workers = slices.DeleteFunc(workers, func(p Process) bool { return p.Name != place })
	}
	var names []string
	for _, p := range workers {
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return 0, fmt.Errorf("%s isn't a worker", place)
	}
	if verb == dashboard.Reload {
		plan, err := r.app.Specs(r.cfg.processes())
		if err != nil {
			return 0, err
		}
		var specs []supervisor.Spec
		for _, name := range names {
			specs = append(specs, plan[name])
		}
		return len(names), r.host.Processes.Roll(ctx, specs, 1)
	}
	wanted, act := supervisor.Ready, r.host.Processes.Start
	if verb == dashboard.Drain {
		wanted, act = supervisor.Stopped, r.host.Processes.Stop
	}
	if err := act(names...); err != nil {
		return 0, err
	}
	return len(names), r.host.Processes.Wait(ctx, func(all []supervisor.Status) bool {
		now := ByName(all)
		return !slices.ContainsFunc(names, func(name string) bool { return now[name].State != wanted && now[name].State != supervisor.Errored })
	})
}
