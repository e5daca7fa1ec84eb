package inspect

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxWaiting  = 64                     // questions that wait to be looked at
	tapBatch    = 200 * time.Millisecond // that events of a tap wait for others
	tapRate     = 200                    // events of a tap each second
	tapBuffered = 256                    // events that wait for Redis
)

// serve answers questions until ctx ends.
func (p *Peers) serve(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	leases := map[string]*lease{} // by question
	ended := make(chan *lease)
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-ended:
			delete(leases, l.q.ID)
		case q := <-p.asked:
			l := leases[q.ID]
			switch {
			case l != nil && l.q.Asker != q.Asker: // not who began it
			case l != nil && q.Kind == "end":
				l.end()
			case l != nil:
				l.renew(leaseOf(q))
			case q.Kind == "end" || !p.allowed.Allow():
			case q.Kind == "tap":
				if len(leases) == maxLeases || q.Process == p.process {
					break
				}
				ctx, end := context.WithCancel(ctx)
				l := &lease{q: q, end: end, renewals: make(chan time.Duration, 1)}
				leases[q.ID] = l
				work.Go(func() {
					p.stream(ctx, l)
					end()
					select {
					case ended <- l:
					case <-ctx.Done():
					}
				})
			default:
				select {
				case p.answering <- struct{}{}:
					work.Go(func() {
						p.reply(ctx, q)
						<-p.answering
					})
				default: // too many at a time
				}
			}
		}
	}
}

// hear takes a question. It doesn't wait.
func (p *Peers) hear(payload []byte) {
	var q question
	if json.Unmarshal(payload, &q) != nil || q.ID == "" || q.Asker == p.self || len(q.ID) > maxName || len(q.Asker) > maxName || q.Query.Check() != nil {
		return
	}
	select {
	case p.asked <- q:
	default: // a flood: the asker's renewal comes again
	}
}

// reply answers a question once.
func (p *Peers) reply(ctx context.Context, q question) {
	ctx, cancel := context.WithTimeout(ctx, min(time.Duration(q.Within)*time.Millisecond, askWithin))
	defer cancel()
	a := answer{ID: q.ID, From: p.self, Process: p.process, None: q.Process == p.process}
	var body []byte
	if !a.None {
		var err error
		if body, err = answerOf(ctx, p.cfg.Local, q); err != nil {
			a.Error = printable(err.Error())
		}
	}
	for {
		n := min(len(body), maxPartData)
		a.Last = n == len(body)
		if heard, err := p.send(ctx, q.Asker, a, body[:n]); err != nil || heard == 0 || a.Last {
			return
		}
		body = body[n:]
		a.Part++
	}
}

// send publishes a part of an answer.
func (p *Peers) send(ctx context.Context, asker string, a answer, data []byte) (heard int, err error) {
	head, err := json.Marshal(a)
	if err != nil {
		return 0, err
	}
	_, channel := channels(p.cfg.App, asker)
	return p.publish(ctx, channel, slices.Concat(head, []byte{'\n'}, data))
}

// answerOf asks local, and cuts what doesn't fit an answer.
func answerOf(ctx context.Context, local Source, q question) ([]byte, error) {
	q.Query.Limit = min(q.Query.Limit, MaxRows)
	switch q.Kind {
	case "samples":
		return encodeList(local.Samples(ctx))
	case "history":
		return encodeList(local.History(ctx))
	case "namespaces":
		return encodeList(local.Namespaces(ctx))
	case "rooms":
		return encodePage(local.Rooms(ctx, q.Query))
	case "clients":
		return encodePage(local.Clients(ctx, q.Query))
	case "ended":
		return encodePage(local.Ended(ctx, q.Query))
	case "decisions":
		return encodePage(local.Decisions(ctx, q.Query))
	}
	return nil, nil // of a later version
}

func encodeList[T any](rows []T, err error) ([]byte, error) {
	if rows == nil {
		rows = []T{}
	}
	rows = rows[:min(len(rows), MaxRows)]
	for {
		body, failed := json.Marshal(rows)
		if failed != nil {
			return nil, failed
		}
		if len(body) <= maxAnswered {
			return body, err
		}
		rows = rows[:len(rows)/2]
	}
}

func encodePage[T any](page Page[T], err error) ([]byte, error) {
	page.cut(MaxRows)
	if page.Rows == nil {
		page.Rows = []T{}
	}
	for {
		body, failed := json.Marshal(page)
		if failed != nil {
			return nil, failed
		}
		if len(body) <= maxAnswered {
			return body, err
		}
		page.cut(len(page.Rows) / 2)
	}
}

// lease is a tap of another process.
type lease struct {
	q        question
	end      context.CancelFunc
	renewals chan time.Duration
}

// leaseOf returns how long a tap may last without another question.
func leaseOf(q question) time.Duration {
	return min(max(time.Duration(q.Lease)*time.Millisecond, time.Second), leaseTime)
}

func (l *lease) renew(d time.Duration) {
	select {
	case l.renewals <- d:
	default: // one waits already
	}
}

// stream sends the events of a tap, until nobody hears them.
func (p *Peers) stream(ctx context.Context, l *lease) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	events := make(chan Event, tapBuffered)
	over := make(chan error, 1)
	var skipped atomic.Uint64
	var tapping sync.WaitGroup
	defer tapping.Wait()
	defer leave()
	tapping.Go(func() {
		over <- p.cfg.Local.Tap(ctx, l.q.Query, func(e Event) {
			select {
			case events <- e:
			default:
				skipped.Add(1)
			}
		})
	})
	allowed := rate.NewLimiter(tapRate, tapRate)
	expiry := time.NewTimer(leaseOf(l.q))
	defer expiry.Stop()
	batch := time.NewTimer(tapBatch)
	defer batch.Stop()
	var lines []byte
	add := func(e Event) {
		line, err := json.Marshal(e)
		if err == nil && len(lines)+len(line) < maxPartData {
			lines = append(append(lines, line...), '\n')
		} else {
			skipped.Add(1)
		}
	}
	a := answer{ID: l.q.ID, From: p.self, Process: p.process}
	for {
		select {
		case <-ctx.Done():
			return
		case <-expiry.C:
			return
		case d := <-l.renewals:
			expiry.Reset(d)
		case err := <-over:
			a.Last = true
			if err != nil {
				a.Error = printable(err.Error())
			}
			_, _ = p.send(ctx, l.q.Asker, a, lines) // the lease has ended anyway
			return
		case e := <-events:
			if !allowed.Allow() {
				skipped.Add(1)
				break
			}
			add(e)
		case <-batch.C:
			batch.Reset(tapBatch)
			if n := skipped.Swap(0); n > 0 {
				add(Event{At: time.Now(), Kind: "skipped", Skipped: n})
			}
			if len(lines) == 0 {
				break
			}
			if heard, err := p.send(ctx, l.q.Asker, a, lines); err == nil && heard == 0 {
				return // the viewer has gone
			}
			lines = lines[:0]
			a.Part++
		}
	}
}
