package node

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

// endpoint is where routers reach a process in one app of the directory: a record, and a handoff
// socket for this host's router. It opens by itself, and stays open until its context ends.
type endpoint struct {
	h      *Host
	app    string
	record directory.Worker
	load   func() int
	// give passes a connection to the process, and takes it over unless it fails.
	give func(*handoff.Conn) error
	// read reports whether clients' connections may come with bytes that a router has read.
	read bool
	// server is the key of the listening server in the process; empty: there is none.
	server string
	// before delays readiness after the registration; nil: nothing does.
	before func(context.Context) error
	// opened is called with the worker's id when routers may come.
	opened func(worker string)

	close context.CancelFunc
	done  chan struct{} // closed when nothing is left of it

	mu  sync.Mutex                                // guards the rest
	reg *directory.Registration[directory.Worker] // nil: not yet registered
}

// open starts d.
func (h *Host) open(ctx context.Context, d *endpoint) {
	d.h, d.done = h, make(chan struct{})
	ctx, d.close = context.WithCancel(ctx)
	h.mu.Lock()
	slot, pid := d.record.Slot, d.record.PID
	d.record = h.cfg.Record
	d.record.Slot, d.record.PID, d.record.Started, d.record.Addr = slot, pid, time.Now(), h.addrs[d.app]
	h.endpoints[d] = struct{}{}
	h.mu.Unlock()
	ok := h.start(func() {
		d.run(ctx)
		h.mu.Lock()
		delete(h.endpoints, d)
		h.mu.Unlock()
		close(d.done)
	})
	if !ok {
		close(d.done)
	}
}

// tell changes the record, and tells the routers. It never blocks.
func (d *endpoint) tell(change func(*directory.Worker)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reg == nil {
		change(&d.record)
	} else {
		d.reg.Update(change)
	}
}

// register adds the process to the directory.
func (d *endpoint) register(ctx context.Context) (*directory.Registration[directory.Worker], error) {
	dir, err := d.h.directory(ctx, d.app)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	record := d.record
	d.mu.Unlock()
	reg, err := dir.RegisterWorker(ctx, record, d.load)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	addr, state := d.record.Addr, d.record.State // tell may have changed them meanwhile
	reg.Update(func(r *directory.Worker) {
		if r.Addr = addr; state != "" {
			r.State = state
		}
	})
	d.reg = reg
	return reg, nil
}

func (d *endpoint) run(ctx context.Context) {
	if err := d.serve(ctx); err != nil && ctx.Err() == nil {
		d.h.log.Error("routers cannot reach the worker", "app", d.app, "pid", d.record.PID, "error", err)
	}
}

func (d *endpoint) serve(ctx context.Context) error {
	reg, err := d.register(ctx)
	if err != nil {
		return err
	}
	beat, stop := context.WithCancel(context.WithoutCancel(ctx))
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		_ = reg.Run(beat) // fails in its goodbye only, and the record then expires
	}()
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
	if reg := d.h.cfg.Metrics; reg != nil {
		if err := l.Register(reg); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		d.accept(l)
	}()
	reg.Update(func(r *directory.Worker) {
		if r.Handoff = path; r.State == directory.StateStarting {
			r.State = directory.StateReady
		}
	})
	d.opened(reg.ID())
	<-ctx.Done()
	err = l.Close()
	<-accepting
	return err
}

func (d *endpoint) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if err := d.give(c.(*handoff.Conn)); err != nil {
			d.h.metrics.connections.WithLabelValues("refused").Inc()
			c.Close()
			if !errors.Is(err, errClosed) {
				d.h.log.Debug("connection not passed to its worker", "app", d.app, "error", err)
			}
		}
	}
}
