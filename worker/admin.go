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

// startAdmin serves the operator's HTTP: to the supervisor on the worker's socket, else on SIDEREAL_ADMIN_ADDR.
func (w *Worker) startAdmin(ctx context.Context, ps *parts) error {
	var l net.Listener
	var err error
	switch addr := w.set.AdminAddr; {
	case w.set.RuntimeDir != "":
		l, err = admin.ListenSocket(w.set.RuntimeDir, fmt.Sprintf("worker-%d", w.set.Slot))
	case config.IsOff(addr):
		return nil
	default:
		l, err = admin.Listen(ctx, addr, false)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = &config.ValueError{Variable: "SIDEREAL_ADMIN_ADDR", Value: addr, Rule: "is in use by another process"}
		}
	}
	if err != nil {
		return err
	}
	server := admin.New(admin.Config{Ready: w.Ready, Status: w.status, Gatherer: w.metrics})
	ps.start("admin", func(ctx context.Context) error { return server.Run(ctx, l) })
	return nil
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
