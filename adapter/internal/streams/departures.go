package streams

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
)

// departure is a client that has left this process and may come back until a time. Its snapshot is
// in Redis; here is only what tells whether that is still the same.
type departure struct {
	pid, hash string
	until     time.Time
}

// grace is how long a snapshot stays in Redis after the time in which its client may come back. It
// leaves this process time to delete it, which tells who has the client.
func (rec *recovery) grace() time.Duration { return max(rec.renewal(), 30*time.Second) }

// departuresAtOnce limits how many are looked up with one request.
const departuresAtOnce = 256

// departed notes that a snapshot was stored whose client may come back.
func (rec *recovery) departed(pid, hash string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.left = append(rec.left, departure{pid, hash, time.Now().Add(rec.maxDisconnection)})
}

// giveUp deletes the snapshots of clients that haven't come back in time, to any server, and
// reports them.
func (rec *recovery) giveUp(ctx context.Context, now time.Time) {
	for {
		due := rec.due(now)
		if len(due) == 0 {
			return
		}
		if again := rec.giveUpOn(ctx, due); len(again) > 0 {
			rec.retry(again, now)
			return
		}
	}
}

// due takes the oldest departures whose time has passed.
func (rec *recovery) due(now time.Time) []departure {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	n := 0
	for n < min(len(rec.left), departuresAtOnce) && rec.left[n].until.Before(now) {
		n++
	}
	due := rec.left[:n:n]
	if rec.left = rec.left[n:]; len(rec.left) == 0 {
		rec.left = nil
	}
	return due
}

// retry puts departures back for which Redis didn't answer, as long as it may have their snapshots.
func (rec *recovery) retry(again []departure, now time.Time) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var kept []departure
	for _, d := range again {
		if now.Before(d.until.Add(rec.grace())) {
			kept = append(kept, d)
		}
	}
	rec.left = append(kept, rec.left...)
}

// giveUpOn deletes the snapshots that are as this process stored them, and reports their clients.
// It returns those that Redis said nothing about.
func (rec *recovery) giveUpOn(ctx context.Context, due []departure) (again []departure) {
	client := rec.form().Conn.Client()
	pipe := client.Pipeline()
	texts := make([]*redis.StringCmd, len(due))
	for i, d := range due {
		texts[i] = pipe.Get(ctx, rec.key(d.pid))
	}
	_, _ = pipe.Exec(ctx) // each command has its error
	type deletion struct {
		departure
		was wire.Snapshot
		cmd *redis.Cmd
	}
	var deletions []deletion
	pipe = client.Pipeline()
	for i, d := range due {
		text, err := texts[i].Result()
		if err != nil && err != redis.Nil {
			again = append(again, d)
		}
		if err != nil || hashOf([]byte(text)) != d.hash {
			continue // another server has, or had, the client
		}
		was, err := wire.ParseSnapshot(text)
		if err != nil || was.Namespace != rec.namespace.Name {
			continue
		}
		deletions = append(deletions, deletion{d, was, swap.Eval(ctx, pipe, []string{rec.key(d.pid)}, "", 0, d.hash)})
	}
	if len(deletions) > 0 {
		_, _ = pipe.Exec(ctx)
	}
	for _, d := range deletions {
		switch n, err := d.cmd.Int(); {
		case err != nil:
			again = append(again, d.departure)
		case n == 1:
			rec.gone(snapshotOf(d.was))
		}
	}
	return again
}
