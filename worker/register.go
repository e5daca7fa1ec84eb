package worker

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/transport"
)

// mode is where a worker finds itself.
type mode string

const (
	alone      mode = "alone"      // no Redis: nobody knows of it
	beside     mode = "beside"     // in the directory, reached at its own address
	supervised mode = "supervised" // in the directory, reached through its host's router
)

// membership is a worker's place in its cluster.
type membership struct {
	mode mode
	reg  *directory.Registration[directory.Worker] // nil: alone
	beat *part                                     // runs reg
}

// join takes an id, and where there is a directory registers under it, still as starting. It waits for Redis.
func (w *Worker) join(ctx context.Context, ps *parts) (*membership, error) {
	if w.conn == nil {
		id := directory.NewWorkerID()
		w.id.Store(&id)
		return &membership{mode: alone}, nil
	}
	m := &membership{mode: beside}
	if w.set.RuntimeDir != "" {
		m.mode = supervised
	}
	err := w.conn.Check(ctx)
	if err != nil && !errors.Is(err, redisconn.ErrUnreachable) {
		return nil, w.set.Redis.Problem(err) // before Run logs it too
	}
	ps.start("redis", w.conn.Run)
	if err != nil {
		w.setUnfit("waiting for Redis")
		if err := w.conn.Reach(ctx); err != nil {
			return nil, w.set.Redis.Problem(err)
		}
	}
	w.setUnfit("starting")
	d, err := directory.Open(ctx, directory.Config{Conn: w.conn, App: w.set.App.App, Log: w.log})
	if err != nil {
		return nil, err
	}
	if m.mode == beside { // a supervisor has tried before it started workers
		if err := d.Check(ctx); errors.Is(err, redisconn.ErrRights) || errors.Is(err, redisconn.ErrMoved) {
			return nil, w.set.Redis.Problem(err)
		}
		if w.cluster != nil {
			if err := transport.Check(ctx, w.set.Cluster, w.set.Redis, w.conn); err != nil {
				return nil, err
			}
		}
	}
	record := directory.Worker{
		Slot: w.set.Slot, Host: w.set.HostName, PID: os.Getpid(), Started: w.started,
		Version: w.cfg.Version, Tags: w.cfg.SocketIO.NewSID == nil,
	}
	w.describe(&record)
	m.reg, err = d.RegisterWorker(ctx, record, w.io.Engine().Len)
	if err != nil {
		return nil, w.set.Redis.Problem(err)
	}
	id := m.reg.ID()
	w.id.Store(&id)
	m.beat = ps.start("registration", m.reg.Run)
	if m.mode == beside {
		if _, err = d.Secret(ctx); err != nil {
			return nil, w.set.Redis.Problem(err)
		}
		w.accepts = func(key string) bool { return d.AcceptsAt(context.Background(), id, key) } // bounded by itself
	}
	return m, nil
}

// describe says in the record what all workers of an app must agree on.
func (w *Worker) describe(r *directory.Worker) {
	r.Path = w.set.Path
	if w.cluster == nil {
		r.Adapter = transport.Memory
		return
	}
	transport.Describe(w.set.Cluster, r)
}

// setState tells the routers.
func (m *membership) setState(s directory.State) {
	if m.reg != nil {
		m.reg.SetState(s)
	}
}

// leave says goodbye.
func (m *membership) leave() error {
	if m.beat == nil {
		return nil
	}
	return m.beat.stop()
}

// startServing opens the worker's own door, serves it, and tells the routers of it.
func (w *Worker) startServing(ctx context.Context, ps *parts, m *membership) error {
	if m.mode == supervised {
		path := filepath.Join(w.set.RuntimeDir, w.ID()+".sock")
		l, err := handoff.Listen(path, w.ID())
		if err != nil {
			return err
		}
		if err := l.Register(w.metrics); err != nil {
			return errors.Join(err, l.Close())
		}
		w.routers = newLean(w, l)
		ps.start("handoff", func(context.Context) error { return w.serveRouters(w.routers) })
		m.reg.Update(func(r *directory.Worker) { r.Addr, r.Handoff, r.State = w.set.Advertise, path, directory.StateReady })
		w.log.Debug().Str("worker", w.ID()).Msg("worker ready")
		return nil
	}
	l, err := w.listen(ctx)
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	w.addr.Store(&addr)
	log := w.log.Info().Str("worker", w.ID()).Str("addr", addr)
	if m.mode == beside {
		local, err := w.conn.LocalIP(ctx)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		advertise, err := w.set.Door.Advertised(addr, local)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		log.Str("advertise", advertise)
		m.reg.Update(func(r *directory.Worker) { r.Addr, r.State = advertise, directory.StateReady })
	}
	ps.start("http", func(context.Context) error { return w.serve(l) })
	log.Msg("worker ready")
	return nil
}

func (w *Worker) listen(ctx context.Context) (net.Listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", w.set.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &config.ValueError{Variable: "SIDEREAL_ADDR", Value: w.set.Addr, Rule: "is in use by another process"}
	}
	return l, err
}
