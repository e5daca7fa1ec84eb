package rebalance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sidereal-io/sidereal/directory"
)

const (
	// takeWithin is the time in which workers take their orders and say so, or the orders expire.
	takeWithin = 10 * time.Second
	stopWithin = 2 * time.Second
)

// ErrCalledBack reports that a rebalance was ended early. Sessions that were moved stay where they
// are.
var ErrCalledBack = errors.New("the rebalance was called back")

// Once plans and gives the workers their orders. A plan that waits or has no moves gives none. The
// error is directory.ErrMovesOrdered if somebody else did so a moment ago.
func Once(ctx context.Context, d *directory.Directory, app string, slack float64) (p *Plan, err error) {
	err = d.OrderMoves(ctx, func(t *directory.Table) (map[string]directory.MoveOrder, error) {
		p = Make(app, t, slack)
		return p.orders(), nil
	})
	return p, err
}

// Follow waits until the workers have carried out the plan. If a worker leaves or fails meanwhile,
// or ctx ends, Follow calls the orders back and returns an error.
func (p *Plan) Follow(ctx context.Context, d *directory.Directory) error {
	if len(p.Workers) == 0 {
		return nil
	}
	late := time.NewTimer(takeWithin)
	defer late.Stop()
	began, expired := make(map[string]bool), false
	for {
		changed := d.Changed()
		t := d.Workers()
		for _, id := range p.members {
			if w := t.Get(id); w == nil || w.State != directory.StateReady {
				return p.stop(ctx, d, fmt.Errorf("%w: worker %s isn't ready any more", ErrCalledBack, id))
			}
		}
		moving := 0
		for _, w := range p.Workers {
			if t.Get(w.ID).Moving {
				began[w.ID] = true
				moving++
			}
		}
		if moving == 0 && (expired || len(began) == len(p.Workers)) {
			return nil
		}
		select {
		case <-changed:
		case <-late.C:
			expired = true
		case <-ctx.Done():
			return p.stop(ctx, d, fmt.Errorf("%w: %w", ErrCalledBack, ctx.Err()))
		}
	}
}

// stop calls the orders back.
func (p *Plan) stop(ctx context.Context, d *directory.Directory, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	ids := make([]string, 0, len(p.Workers))
	for _, w := range p.Workers {
		ids = append(ids, w.ID)
	}
	return errors.Join(why, d.StopMoves(ctx, ids...))
}
