package worker

import (
	"context"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/netio"
)

const (
	// settleTime is how long routers give this host no new sessions after the last one was moved:
	// until the clients are back elsewhere. They wait for 5 s at most before they reconnect.
	settleTime = 10 * time.Second
	settleTick = 100 * time.Millisecond
)

// mover carries out orders to move sessions to other hosts (ADR 0035).
type mover struct {
	w *worker
	m *membership
}

// run takes orders until ctx ends. A newer order replaces an older one.
func (v *mover) run(ctx context.Context, orders <-chan directory.MoveOrder) error {
	stop := func() {}
	for {
		select {
		case <-ctx.Done():
			stop()
			return nil
		case order := <-orders:
			stop()
			stop = v.start(ctx, order)
		}
	}
}

// start begins to carry out an order. The function that it returns ends that, and waits.
func (v *mover) start(ctx context.Context, order directory.MoveOrder) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if order.Sessions > 0 && v.w.io.Engine().Len() > order.Keep {
			v.move(ctx, order)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// move moves sessions as ordered. Meanwhile, and until the clients are back, routers prefer other
// hosts.
func (v *mover) move(ctx context.Context, order directory.MoveOrder) {
	v.setMoving(true)
	defer v.setMoving(false)
	engine := v.w.io.Engine()
	v.w.log.Info("worker moves sessions to other hosts", "worker", v.w.ID(), "sessions", engine.Len(), "most", order.Sessions, "keep", order.Keep)
	netio.Pause(ctx, notice)
	rate := float64(v.w.cfg.DrainRate)
	if order.PerSecond > 0 {
		rate = min(rate, order.PerSecond)
	}
	moved, err := engine.Move(ctx, engineio.Move{Most: order.Sessions, Keep: order.Keep, PerSecond: rate})
	if err == nil && moved > 0 {
		v.settle(ctx, order.Keep, settleTime)
	}
	v.w.log.Info("worker has moved sessions", "worker", v.w.ID(), "moved", moved, "sessions", engine.Len(), "stopped", ctx.Err() != nil)
}

// settle waits until the clients that were moved must be back, or until so many others have left
// that this host may have new ones again.
func (v *mover) settle(ctx context.Context, keep int, within time.Duration) {
	tick := time.NewTicker(settleTick)
	defer tick.Stop()
	for end := time.Now().Add(within); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if v.w.io.Engine().Len() < keep-keep/8-8 {
			return
		}
	}
}

func (v *mover) setMoving(moving bool) {
	v.m.reg.Update(func(r *directory.Worker) { r.Moving = moving })
}
