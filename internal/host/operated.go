package host

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// Plug is a page on the admin port that harms the host: see package plug.
type Plug interface {
	http.Handler
	Run(ctx context.Context) error
}

// Operated is a host in the hands of a Plug. Its methods may be called concurrently.
type Operated struct {
	r    *run
	turn sync.Mutex // held while a worker is added
}

// URL is where clients on this host connect.
func (o *Operated) URL() string { return o.r.open() }

// Path is the path of Socket.IO.
func (o *Operated) Path() string { return o.r.set.Path }

// Recovery is how long clients may be away and resume their sessions.
func (o *Operated) Recovery() time.Duration { return o.r.set.Recovery }

// Processes are all processes of the host, in no promised order.
func (o *Operated) Processes() []supervisor.Status { return o.r.host.Processes.Status() }

// Signal sends a signal to processes by their places.
func (o *Operated) Signal(sig syscall.Signal, places ...string) error {
	return o.r.host.Processes.Signal(sig, places...)
}

// Reload replaces all workers, one by one.
func (o *Operated) Reload() { o.r.host.Processes.Reload(OnlyGroup) }

// AddWorker starts one more worker, with the lowest number that is free.
func (o *Operated) AddWorker(context.Context) error {
	o.turn.Lock()
	defer o.turn.Unlock()
	if !o.r.opened.Load() {
		return errWaiting
	}
	there, n := o.r.host.Statuses(), 1
	for ; ; n++ {
		if _, taken := there[workerName(n)]; !taken {
			break
		}
	}
	p := o.r.cfg.process(n)
	plan, err := o.r.app.Specs([]Process{p})
	if err != nil {
		return err
	}
	return o.r.app.Add([]supervisor.Spec{plan[p.Name]}, map[string]int{p.Name: p.Slot})
}

// workerName is the place of a worker.
func workerName(slot int) string { return fmt.Sprintf("worker-%d", slot) }
