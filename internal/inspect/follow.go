package inspect

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"sync/atomic"
	"time"
)

// maxUnseen is how many events of other hosts wait for a viewer.
const maxUnseen = 1024

// tapped is a tap of this process on others.
type tapped struct {
	events  chan Event
	skipped atomic.Uint64
	from    map[string]string // the answerer of each process
}

// take takes a message with events. The lock of Peers is held.
func (t *tapped) take(a answer, data []byte) {
	if len(t.from) >= maxAnswers && t.from[a.Process] == "" {
		return
	}
	if from := t.from[a.Process]; from != "" && from != a.From {
		return // a process may have several answerers
	}
	t.from[a.Process] = a.From
	for line := range bytes.Lines(data) {
		var e Event
		if json.Unmarshal(line, &e) != nil {
			return
		}
		select {
		case t.events <- e:
		default:
			t.skipped.Add(1)
		}
	}
}

// Tap calls f for each event of other processes, until ctx ends. Processes that come later, or come
// back, hear of the tap when its lease is renewed.
func (p *Peers) Tap(ctx context.Context, q Query, f func(Event)) error {
	if err := q.Check(); err != nil {
		return err
	}
	ask := question{ID: rand.Text(), Kind: "tap", Query: q, Lease: leaseTime.Milliseconds()}
	t := &tapped{events: make(chan Event, maxUnseen), from: map[string]string{}}
	p.mu.Lock()
	p.taps[ask.ID] = t
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.taps, ask.ID)
		p.mu.Unlock()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = p.ask(ending, question{ID: ask.ID, Kind: "end"}) // else the lease ends by itself
	}()
	renew := time.NewTicker(renewEvery)
	defer renew.Stop()
	_, _ = p.ask(ctx, ask) // again soon
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-renew.C:
			_, _ = p.ask(ctx, ask) // without Redis, nobody hears anything
		case e := <-t.events:
			f(e)
			if n := t.skipped.Swap(0); n > 0 {
				f(Event{At: time.Now(), Kind: "skipped", Skipped: n})
			}
		}
	}
}
