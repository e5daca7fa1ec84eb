package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/sidereal-io/sidereal/internal/admin"
)

// startAdmin serves the operator's HTTP. A supervised worker serves it on a socket, which the
// supervisor finds after publish. Others serve it on Config.AdminAddr.
func (w *worker) startAdmin(ctx context.Context, ps *parts) (publish func() error, err error) {
	var l net.Listener
	handler := w.inspect()
	publish = func() error { return nil }
	switch addr := w.cfg.AdminAddr; {
	case w.cfg.supervised.dir != "":
		var socket *admin.SocketListener
		if socket, err = admin.ListenSocket(w.cfg.supervised.dir, fmt.Sprintf("worker-%d", w.cfg.supervised.slot)); err == nil {
			l, publish = socket, socket.Publish
		}
	case addr == "":
		return publish, nil
	default:
		l, err = admin.Listen(ctx, addr, false)
		if errors.Is(err, syscall.EADDRINUSE) {
			err = &fieldError{"AdminAddr", addr, "is in use by another process"}
		}
	}
	if err != nil {
		return nil, err
	}
	server := admin.New(admin.Config{Ready: w.Ready, Status: w.status, Gatherer: w.appMetrics.beside(), Inspect: handler})
	ps.start(ctx, "admin", func(ctx context.Context) error { return server.Run(ctx, l) })
	return publish, nil
}

func (w *worker) status(context.Context) admin.Status {
	st := admin.Status{
		Role: "worker", Host: w.cfg.HostName, Version: w.cfg.Version, Started: w.started, App: w.cfg.App,
		Addr: w.Addr(), Advertise: w.cfg.Advertise,
	}
	if w.conn != nil {
		st.Redis = w.conn.String()
	}
	return st
}
