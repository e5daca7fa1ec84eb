package host

import (
	"cmp"
	"os"
	"slices"
	"time"

	"github.com/sidereal-io/sidereal/internal/cluster"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// inspected makes the source that answers for this host's processes.
func (h *Host) inspected() *inspect.Host {
	started := time.Now()
	return inspect.NewHost(inspect.HostConfig{
		Children: h.children, Usage: supervisor.Usage,
		Self: func() inspect.Sample {
			s := inspect.Own(inspect.Process{Host: h.Name(), App: h.onlyApp(), Name: "supervisor", Role: "host", PID: os.Getpid(), Started: started})
			for _, d := range h.deployments() {
				state := d.State()
				s.Problems = append(s.Problems, state.Problems...)
				s.Problems = append(s.Problems, state.Warnings...)
				if c := d.Cluster(); c != nil {
					s.Problems = append(s.Problems, cluster.Disagreements(c.Directory.Workers().All(), "", "")...)
				}
			}
			return s
		},
	})
}

// Everywhere returns a Source for all hosts of the apps.
func (h *Host) Everywhere() inspect.Source {
	return inspect.Join(func() []inspect.Source {
		all := []inspect.Source{h.Inspect}
		asked := map[string]bool{} // apps of one name and Redis are one app
		for _, d := range h.deployments() {
			d.change(func() {
				if d.peers == nil {
					return
				}
				if key := d.cluster.Conn.String() + " " + d.app.Settings.App.App; !asked[key] {
					asked[key] = true
					all = append(all, d.peers)
				}
			})
		}
		return all
	})
}

// Name is what this host is called.
func (h *Host) Name() string {
	if h.cfg.Supervisor.Host != "" {
		return h.cfg.Supervisor.Host
	}
	name, _ := os.Hostname() // without it, the host has none
	return name
}

// onlyApp is the app of a host that has one; empty for a host of many.
func (h *Host) onlyApp() string {
	if all := h.deployments(); len(all) == 1 && all[0].app.Key == "" {
		return all[0].app.Settings.App.App
	}
	return ""
}

// children are the host's processes, and places without one, as operators see them.
func (h *Host) children() []inspect.Child {
	sockets := h.AdminSockets()
	owners := map[string]*Deployment{}
	for _, d := range h.deployments() {
		for _, place := range d.Services() {
			owners[place] = d
		}
	}
	var all []inspect.Child
	for _, st := range h.Processes.Status() {
		c := inspect.Child{
			Process: inspect.Process{Host: h.Name(), App: h.onlyApp(), Name: st.Name, Role: "service", Worker: st.Attrs[lifeline.Worker], PID: st.PID, Started: st.Started},
			Socket:  sockets[st.Name], Carries: IsNodeHost(st.Name), State: string(st.State), Restarts: st.Restarts,
		}
		if st.Last != nil {
			c.LastEnd = st.Last.Cause
		}
		if d := cmp.Or(owners[st.Name], h.at(st.Name)); d != nil {
			d.describe(&c)
		}
		all = append(all, c)
	}
	return all
}

// describe adds what the app knows of its process.
func (d *Deployment) describe(c *inspect.Child) {
	if d.app.Kind.Routed() {
		c.App = d.app.Settings.App.App
	}
	switch {
	case slices.Contains(d.routers(), c.Name):
		c.Role = "router"
	case !d.has(c.Name): // another service
	case d.app.Kind == Worker:
		c.Role = "worker"
	case d.app.Kind.Channeled():
		c.Role = "node"
	default:
		c.Role = "program"
	}
	of := d.Cluster()
	if of == nil || c.Worker == "" {
		return
	}
	if w := of.Directory.Workers().Get(c.Worker); w != nil {
		c.Sessions = w.Clients
	}
}

// has reports whether a place is that of one of the app's own processes.
func (d *Deployment) has(place string) (ok bool) {
	d.change(func() { _, ok = d.slots[place] })
	return ok
}
