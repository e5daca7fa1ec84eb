package router

import (
	"context"
	"errors"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// knocks is how often another host's door, or a server, is asked about one worker: a dying process
// closes its descriptors one by one, so the first connections may still be passed to it, and end
// without an answer.
const knocks = 3

// asking is a question whether a worker lives, which all that want to know share.
type asking struct {
	done chan struct{}
	err  error // once done is closed
}

// check asks whether the worker is dead, after a connection to it ended in the middle of something.
func (w *worker) check(ctx context.Context) error {
	w.mu.Lock()
	a := w.asking
	if a == nil {
		a = &asking{done: make(chan struct{})}
		w.asking = a
		w.mu.Unlock()
		a.err = w.ask(ctx)
		w.mu.Lock()
		w.asking = nil
		w.mu.Unlock()
		close(a.done)
		return a.err
	}
	w.mu.Unlock()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return errBusy
	}
}

func (w *worker) ask(ctx context.Context) error {
	s, err := w.link(ctx)
	switch {
	case err != nil:
		return err
	case w.up != nil:
		return w.askUpstream(ctx)
	case s == nil:
		return w.askDoor(ctx)
	}
	// A dying process closes its descriptors one by one: the link may be the next.
	probe, err := w.r.workers.dial(ctx, w.id)
	if err == nil {
		probe.Close()
		return nil
	}
	if errors.Is(err, handoff.ErrDead) || errors.Is(err, handoff.ErrWrongWorker) {
		return errGone
	}
	return nil
}

// grace is how long a connection to a server that may be dying has to last to be believed.
const grace = 50 * time.Millisecond

// askUpstream finds out whether a server still listens at the upstream's address. It returns nil if
// one does, or if nobody can tell.
func (w *worker) askUpstream(ctx context.Context) error {
	for range knocks {
		u, err := w.dial(ctx)
		if errors.Is(err, errGone) {
			return err
		}
		if err != nil {
			return nil
		}
		u.Conn.SetReadDeadline(time.Now().Add(grace))
		err = u.Fill()
		u.close()
		if err == nil || isTimeout(err) {
			return nil
		}
	}
	return nil
}

// askDoor asks the door of the worker's host. It returns nil if the worker lives, or if nobody can
// tell.
func (w *worker) askDoor(ctx context.Context) error {
	for range knocks {
		switch answered, err := w.knock(ctx); {
		case errors.Is(err, errGone):
			return err
		case answered, err != nil:
			return nil
		}
	}
	return nil
}

// knock sends a request for nothing by way of the door. Answered: the worker, or its host's router,
// said something.
func (w *worker) knock(ctx context.Context) (answered bool, err error) {
	u, err := w.dial(ctx)
	if err != nil {
		return false, err
	}
	defer u.close()
	key, err := u.key(ctx)
	if err != nil {
		return false, err
	}
	u.Conn.SetDeadline(time.Now().Add(openTimeout))
	request := appendRouting([]byte("OPTIONS * HTTP/1.1\r\nHost: sidereal\r\n"), w.id, key)
	if _, err := u.Write(append(request, "\r\n"...)); err != nil {
		return false, nil
	}
	var h http1.Head
	for {
		if err := u.Fill(); err != nil {
			if isTimeout(err) {
				return false, err
			}
			return false, nil
		}
		if _, err := h.ParseResponse(u.Bytes(), 0); err != http1.ErrMore {
			if err == nil && h.Status == 421 {
				return true, errGone
			}
			return true, nil
		}
	}
}
