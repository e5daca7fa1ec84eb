package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
)

// startAdmin serves the operator's HTTP: to the supervisor on the worker's socket, which it finds once publish was called,
// else on SIDEREAL_ADMIN_ADDR.
func (w *Worker) startAdmin(ctx context.Context, ps *parts) (publish func() error, err error) {
	var l net.Listener
	publish = func() error { return nil }
	switch addr := w.set.AdminAddr; {
	case w.set.RuntimeDir != "":
		var socket *admin.SocketListener
		if socket, err = admin.ListenSocket(w.set.RuntimeDir, fmt.Sprintf("worker-%d", w.set.Slot)); err == nil {
			l, publish = socket, socket.Publish
		}
	case config.IsOff(addr):
		return publish, nil
	default:
		l, err = admin.Listen(ctx, addr, false)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = &config.ValueError{Variable: "SIDEREAL_ADMIN_ADDR", Value: addr, Rule: "is in use by another process"}
		}
	}
	if err != nil {
		return nil, err
	}
	server := admin.New(admin.Config{Ready: w.Ready, Status: w.status, Gatherer: w.metrics})
	ps.start("admin", func(ctx context.Context) error { return server.Run(ctx, l) })
	return publish, nil
}

func (w *Worker) status(context.Context) admin.Status {
	st := admin.Status{
		Role: "worker", Host: w.set.HostName, Version: w.cfg.Version, Started: w.started, App: w.set.App.App,
		Addr: w.Addr(), Advertise: w.set.Advertise,
	}
	if w.conn != nil {
		st.Redis = w.conn.String()
	}
	return st
}
