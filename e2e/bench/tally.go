//go:build linux

package main

import (
	"context"
	"sync/atomic"
	"time"
)

// lossPatience is how long what is missing at the end of a round is waited for before it counts as
// lost.
const lossPatience = 20 * time.Second

// tally counts what arrives at all clients of a system. Safe for concurrent use.
type tally struct {
	want, got atomic.Int64
	wrong     atomic.Int64 // acks out of order, or of something else
	all       atomic.Pointer[chan struct{}]
}

// expect raises what is awaited. It must be called before what causes it is sent.
func (t *tally) expect(n int) { t.want.Add(int64(n)) }

func (t *tally) count(n int) {
	if t.got.Add(int64(n)) >= t.want.Load() {
		if ch := t.all.Swap(nil); ch != nil {
			close(*ch)
		}
	}
}

// wait returns when everything has come; what has not is lost and no longer awaited.
func (t *tally) wait(ctx context.Context) (lost int) {
	ch := make(chan struct{})
	t.all.Store(&ch)
	if t.got.Load() < t.want.Load() {
		timer := time.NewTimer(lossPatience)
		defer timer.Stop()
		select {
		case <-ch:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	t.all.Store(nil)
	missing := t.want.Load() - t.got.Load()
	t.want.Store(t.got.Load())
	return int(max(missing, 0) + t.wrong.Swap(0))
}
