package host

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sidereal-io/sidereal/internal/admin"
)

// routers are the places of the app's routers.
func (d *Deployment) routers() (names []string) {
	for _, door := range d.State().Doors {
		if !slices.Contains(names, door.Router) {
			names = append(names, door.Router)
		}
	}
	return names
}

// Services are the places of the services that the app has for itself.
func (d *Deployment) Services() []string {
	names := d.routers()
	api := false
	d.change(func() { api = d.api != nil })
	if api {
		names = append(names, d.app.APIPlace())
	}
	if d.app.Kind.NodeHosted() && !d.app.SharedNodeHost {
		names = append(names, d.app.NodeHostPlace())
	}
	return names
}

// Support are the places of all services that the app needs, shared ones included.
func (d *Deployment) Support() []string {
	names := d.Services()
	embedded := false
	d.change(func() { embedded = d.redis != nil })
	if embedded {
		names = append(names, RedisPlace)
	}
	if d.app.SharedNodeHost {
		names = append(names, SharedNodeHostPlace)
	}
	return names
}

// Router returns a client of the admin socket of the app's first router; nil if the app has no
// door.
func (d *Deployment) Router() *admin.Client {
	path := ""
	d.change(func() {
		if d.dir != nil && len(d.state.Doors) > 0 {
			path = d.dir.Path
		}
	})
	if path == "" {
		return nil
	}
	return admin.NewSocketClient(admin.Socket(path, "router"))
}

// AdminSockets are the admin sockets of all processes of the host that run and may have one, by
// place.
func (h *Host) AdminSockets() map[string]string {
	out := map[string]string{}
	st := h.Statuses()
	add := func(place, dir, name string) {
		if st[place].PID != 0 {
			out[place] = admin.Socket(dir, name)
		}
	}
	if dir := h.nodeHost.dir.Load(); dir != nil {
		add(SharedNodeHostPlace, dir.Path, "nodehost")
	}
	for _, d := range h.deployments() {
		services := d.Services()
		d.change(func() {
			if d.dir == nil {
				return
			}
			for _, place := range services {
				add(place, d.dir.Path, strings.TrimPrefix(place, d.app.place("")))
			}
			for place, slot := range d.slots {
				if d.app.Kind == Worker {
					add(place, d.dir.Path, fmt.Sprintf("worker-%d", slot))
				}
			}
		})
	}
	return out
}
