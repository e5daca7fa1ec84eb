package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// mode is where a worker runs.
type mode string

const (
	alone      mode = "alone"      // without Redis: no router finds it
	beside     mode = "beside"     // in the directory, at its own address
	supervised mode = "supervised" // in the directory, through its host's router
)

// membership is a worker's entry in the directory.
type membership struct {
	mode mode
	reg  *directory.Registration[directory.Worker] // nil: alone
	beat *part                                     // runs reg
	move *part                                     // moves sessions as ordered; nil: alone
}

// join makes an id. With Redis it registers under that id, as starting, and waits for Redis if it
// must.
func (w *worker) join(ctx context.Context, ps *parts) (*membership, error) {
	if w.conn == nil {
		id := directory.NewWorkerID()
		w.id.Store(&id)
		return &membership{mode: alone}, nil
	}
	m := &membership{mode: beside}
	if w.cfg.supervised.dir != "" {
		m.mode = supervised
	}
	err := w.conn.Check(ctx)
	if err != nil && !errors.Is(err, redisconn.ErrUnreachable) {
		return nil, w.cfg.refused(err) // before Run logs it as well
	}
	ps.start(ctx, "redis", w.conn.Run)
	if w.peers != nil {
		ps.start(ctx, "inspect", w.peers.Run)
	}
	if err != nil {
		w.setUnfit("waiting for Redis")
		if err := w.conn.Reach(ctx); err != nil {
			return nil, w.cfg.refused(err)
		}
	}
	w.setUnfit("starting")
	d, err := directory.Open(ctx, directory.Config{Conn: w.conn, App: w.cfg.App, Log: w.log})
	if err != nil {
		return nil, err
	}
	if m.mode == beside { // a supervisor has checked before it started workers
		if err := d.Check(ctx); errors.Is(err, redisconn.ErrRights) || errors.Is(err, redisconn.ErrMoved) {
			return nil, w.cfg.refused(err)
		}
		if w.cluster != nil {
			if err := w.checkAdapter(ctx); err != nil {
				return nil, err
			}
		}
	}
	record := directory.Worker{
		Slot: w.cfg.supervised.slot, Host: w.cfg.HostName, PID: os.Getpid(), Started: w.started,
		Version: w.cfg.Version, Tags: w.cfg.SocketIO.NewSID == nil, Repeats: true, Movable: w.cfg.DrainRate,
	}
	w.describe(&record)
	m.reg, err = d.RegisterWorker(ctx, record, w.io.Engine().Len)
	if err != nil {
		return nil, w.cfg.refused(err)
	}
	id := m.reg.ID()
	w.id.Store(&id)
	orders := m.reg.Moves()
	m.beat = ps.start(ctx, "registration", m.reg.Run)
	m.move = ps.start(ctx, "mover", func(ctx context.Context) error { return (&mover{w, m}).run(ctx, orders) })
	if m.mode == beside {
		if _, err = d.Secret(ctx); err != nil {
			return nil, w.cfg.refused(err)
		}
		w.accepts = func(ctx context.Context, key string) bool { return d.AcceptsAt(ctx, id, key) }
	}
	return m, nil
}

// describe writes into the record what all workers of an app must agree on.
func (w *worker) describe(r *directory.Worker) {
	r.Path = strings.TrimSuffix(w.io.Engine().Path(), "/") + "/"
	if w.cluster == nil {
		adapterenv.Describe(nil, r)
		return
	}
	adapterenv.Describe(&w.cfg.Adapter, r)
}

// checkAdapter returns the first right in Redis that the adapter lacks. It returns nil for a
// trouble that may pass.
func (w *worker) checkAdapter(ctx context.Context) error {
	rights, err := w.cluster.Check(ctx, adapter.Needs{Recovery: w.cfg.SocketIO.Recovery != nil})
	if len(rights) > 0 {
		err = rights[0]
	}
	wrong := new(fieldError)
	if !errors.As(w.cfg.refused(err), &wrong) {
		return nil
	}
	if more := len(rights) - 1; more > 0 {
		wrong.rule += fmt.Sprintf(" (and %d more: sidereal check names them)", more)
	}
	return wrong
}

// setState tells the routers the worker's state.
func (m *membership) setState(s directory.State) {
	if m.reg != nil {
		m.reg.SetState(s)
	}
}

// leave removes the record.
func (m *membership) leave() error {
	if m.beat == nil {
		return nil
	}
	return m.beat.stop()
}

// startServing listens, serves, and tells the routers where.
func (w *worker) startServing(ctx context.Context, ps *parts, m *membership) error {
	if m.mode == supervised {
		path := filepath.Join(w.cfg.supervised.dir, w.ID()+".sock")
		l, err := handoff.Listen(path, w.ID())
		if err != nil {
			return err
		}
		if err := l.Register(w.metrics); err != nil {
			return errors.Join(err, l.Close())
		}
		w.routers = newPollServer(w, l)
		ps.start(ctx, "handoff", func(context.Context) error { return w.serve(w.routers) })
		m.reg.Update(func(r *directory.Worker) { r.Addr, r.Handoff, r.State = w.cfg.Advertise, path, directory.StateReady })
		w.log.Debug("worker ready", "worker", w.ID())
		return nil
	}
	l, err := w.listen(ctx)
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	w.addr.Store(&addr)
	fields := []any{"worker", w.ID(), "addr", addr}
	if m.mode == beside {
		local, err := w.conn.LocalIP(ctx)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		advertise, err := w.advertised(addr, local)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		fields = append(fields, "advertise", advertise)
		m.reg.Update(func(r *directory.Worker) { r.Addr, r.State = advertise, directory.StateReady })
	}
	ps.start(ctx, "http", func(context.Context) error { return w.serve(portListener{l}) })
	w.log.Info("worker ready", fields...)
	return nil
}

// advertised returns the address at which routers on other hosts reach the worker.
func (w *worker) advertised(listen string, local netip.Addr) (string, error) {
	addr, unreachable, err := config.Advertised(w.cfg.Advertise, listen, local)
	switch {
	case !unreachable:
		return addr, err
	case w.cfg.Advertise != "":
		return "", &fieldError{"Advertise", addr, "must not be a loopback address, since Redis is on another host"}
	}
	return "", &fieldError{"Addr", addr, "must not be a loopback address, since Redis is on another host; or set Advertise"}
}

func (w *worker) listen(ctx context.Context) (net.Listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", w.cfg.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &fieldError{"Addr", w.cfg.Addr, "is in use by another process"}
	}
	return l, err
}
