package adapter

import (
	"context"
	"time"
)

const (
	flushWithin = 3 * time.Second // after Redis is back, messages wait for the peers no longer than this
	pingFirst   = 20 * time.Millisecond
	pingMost    = 500 * time.Millisecond
	peersAsked  = 50 * time.Millisecond
)

// onUp is called by the subscription when nothing is missed any more.
func (r *Redis) onUp() {
	r.up.Store(true)
	r.known.Store(true)
	r.peers.resumed()
}

// onDown is called by the subscription when messages may be missed: other servers may be deaf as well, so what is
// published now would be lost, and answers under way will not be heard.
func (r *Redis) onDown() {
	r.up.Store(false)
	r.publisher.pause()
	r.form.interrupted()
	r.signalLost()
	for _, n := range r.namespaces() {
		n.calls.failAll(ErrAway)
	}
}

func (r *Redis) signalLost() {
	select {
	case r.lost <- struct{}{}:
	default:
	}
}

// recover lets the publisher go, at first and after each outage, once messages will find who they are for.
func (r *Redis) recover(ctx context.Context) error {
	for {
		r.awaitRedis(ctx)
		r.awaitPeers(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !r.up.Load() {
			continue // lost again
		}
		r.publisher.resume()
		select {
		case <-r.lost:
			r.conn.Doubt()
		case <-ctx.Done():
			return nil
		}
	}
}

// awaitRedis returns when Redis takes commands and the subscription hears.
func (r *Redis) awaitRedis(ctx context.Context) {
	for wait := pingFirst; r.conn.Client().Ping(ctx).Err() != nil; wait = min(2*wait, pingMost) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
	_ = r.Wait(ctx) // fails with ctx only
}

// awaitPeers returns when those who listened before listen again, or have had the time.
func (r *Redis) awaitPeers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	for !r.peers.back(ctx) {
		select {
		case <-time.After(peersAsked):
		case <-ctx.Done():
			return
		}
	}
}
