package host

import (
	"context"

	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/sockets"
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
