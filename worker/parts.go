package worker

import (
	"context"
	"errors"
	"fmt"
)

// parts are the running parts of a worker. They stop in the reverse order of their start: sessions
// that close still publish, and a goodbye still needs Redis. One goroutine starts and stops them.
type parts struct {
	list   []*part
	failed chan error // of parts that ended before they were stopped
}

type part struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done
}

func newParts() *parts { return &parts{failed: make(chan error, 8)} }

// start runs a part until it is stopped. The part outlives ctx, because the drain needs it.
func (ps *parts) start(ctx context.Context, name string, run func(context.Context) error) *part {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &part{cancel: cancel, done: make(chan struct{})}
	ps.list = append(ps.list, p)
	go func() {
		defer close(p.done)
		err := run(ctx)
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = nil
		}
		if err != nil {
			p.err = fmt.Errorf("%s: %w", name, err)
		}
		if ctx.Err() == nil {
			ps.failed <- errors.Join(fmt.Errorf("worker: %s ended by itself", name), p.err)
		}
	}()
	return p
}

// stop ends a part, waits for it and returns its error, the first time.
func (p *part) stop() error {
	p.cancel()
	<-p.done
	err := p.err
	p.err = nil
	return err
}

// stop ends all parts, the last first.
func (ps *parts) stop() error {
	var errs []error
	for i := len(ps.list) - 1; i >= 0; i-- {
		errs = append(errs, ps.list[i].stop())
	}
	ps.list = nil
	return errors.Join(errs...)
}
