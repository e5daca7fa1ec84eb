package nodehost

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/handoff"
)

// door is a process' place in one app of the directory: a record, and a handoff socket where this host's router finds it.
// It opens by itself, and is open until its context ends.
type door struct {
	h      *Host
	app    string
	record directory.Worker
	load   func() int
	// give gets a connection into the process, and takes it over unless it fails.
	give func(*handoff.Conn) error
	// read tells whether connections of clients may bring bytes that were read.
	read bool
	// server is the listening server in the process, where there is one.
	server string
	// before is waited for between the registration and readiness; nil: nothing.
	before func(context.Context) error
	// opened is told that routers may come, under that id.
	opened func(worker string)

	close  context.CancelFunc
	done   chan struct{}        // closed when nothing is left of it
	states chan directory.State // to be told to the routers
}

// open starts d.
func (h *Host) open(ctx context.Context, d *door) {
	d.h, d.done, d.states = h, make(chan struct{}), make(chan directory.State, 1)
	r := &d.record
	r.Host, r.Version, r.Adapter, r.Path, r.Addr, r.Started =
		h.cfg.HostName, h.cfg.Version, h.cfg.AdapterName, h.cfg.Path, h.cfg.Advertise, time.Now()
	ctx, d.close = context.WithCancel(ctx)
	if !h.start(func() { d.run(ctx) }) {
		close(d.done)
	}
}

func (d *door) run(ctx context.Context) {
	defer close(d.done)
	if err := d.serve(ctx); err != nil && ctx.Err() == nil {
		d.h.log.Error().Str("app", d.app).Int("pid", d.record.PID).Err(err).Msg("worker cannot be reached")
	}
}

func (d *door) serve(ctx context.Context) error {
	dir, err := d.h.directory(d.app)
	if err != nil {
		return err
	}
	reg, err := dir.RegisterWorker(ctx, d.record, d.load)
	if err != nil {
		return err
	}
	beat, stop := context.WithCancel(context.WithoutCancel(ctx))
	beating := make(chan error, 1)
	go func() { beating <- reg.Run(beat) }()
	defer func() {
		stop() // says goodbye
		<-beating
	}()
	if d.before != nil {
		if err := d.before(ctx); err != nil {
			return err
		}
	}
	path := filepath.Join(d.h.cfg.RuntimeDir, reg.ID()+".sock")
	listen := handoff.ListenUntouched
	if d.read {
		listen = handoff.Listen
	}
	l, err := listen(path, reg.ID())
	if err != nil {
		return err
	}
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		d.accept(l)
	}()
	reg.Update(func(r *directory.Worker) { r.Handoff, r.State = path, directory.StateReady })
	d.opened(reg.ID())
	for {
		select {
		case s := <-d.states:
			reg.SetState(s)
		case <-ctx.Done():
			err := l.Close()
			<-accepting
			return err
		}
	}
}

// setState tells the routers, which is not waited for.
func (d *door) setState(s directory.State) {
	select {
	case d.states <- s:
	case <-d.done:
	}
}

func (d *door) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if err := d.give(c.(*handoff.Conn)); err != nil {
			d.h.metrics.connections.WithLabelValues("refused").Inc()
			c.Close()
			if !errors.Is(err, errClosed) {
				d.h.log.Debug().Str("app", d.app).Err(err).Msg("connection not given to its worker")
			}
		}
	}
}
