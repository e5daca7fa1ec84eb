package rebalance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/directory"
)

const (
	// calmFor is how long hosts must be uneven, and the workers the same, before sessions are
	// moved.
	calmFor = 10 * time.Second
	// restFor is the time without another rebalance after one.
	restFor  = time.Minute
	autoTick = time.Second
)

// Auto moves sessions by itself when hosts stay uneven. Any number of processes may run one: those
// that lose the race for the lock wait.
type Auto struct {
	cfg     AutoConfig
	ordered prometheus.Counter
}

// AutoConfig says what an Auto watches.
type AutoConfig struct {
	Directory *directory.Directory
	App       string
	Slack     float64 // of local-first, as a part of the mean: Auto waits for twice as much
	Log       *slog.Logger
	Metrics   prometheus.Registerer // may be nil
}

// NewAuto makes an Auto. It starts nothing.
func NewAuto(cfg AutoConfig) (*Auto, error) {
	a := &Auto{cfg: cfg, ordered: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sidereal_rebalances_total", Help: "Rebalances that this process ordered by itself.",
	})}
	if cfg.Metrics != nil {
		if err := cfg.Metrics.Register(a.ordered); err != nil {
			return nil, fmt.Errorf("rebalance: register metrics: %w", err)
		}
	}
	return a, nil
}

// Run watches until ctx ends.
func (a *Auto) Run(ctx context.Context) error {
	tick := time.NewTicker(autoTick)
	defer tick.Stop()
	c := calm{since: time.Now()}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		p := Make(a.cfg.App, a.cfg.Directory.Workers(), 2*a.cfg.Slack)
		if !c.holds(p, time.Now()) {
			continue
		}
		p, err := Once(ctx, a.cfg.Directory, a.cfg.App, 2*a.cfg.Slack)
		c.since = time.Now()
		switch {
		case ctx.Err() != nil || errors.Is(err, directory.ErrMovesOrdered):
			continue
		case err != nil:
			a.cfg.Log.Warn("rebalance not ordered", "error", err)
			continue
		case p.Moves == 0:
			continue
		}
		a.ordered.Inc()
		a.cfg.Log.Info("rebalance ordered", "moves", p.Moves, "workers", len(p.Workers), "expected_ms", int(1000*p.Seconds))
		if err := p.Follow(ctx, a.cfg.Directory); err != nil {
			a.cfg.Log.Warn("rebalance ended early", "error", err)
		} else {
			a.cfg.Log.Info("rebalance done", "moves", p.Moves)
		}
		c.since = time.Now().Add(restFor)
	}
}

// calm notices for how long a cluster has been uneven with the same workers.
type calm struct {
	since   time.Time
	members []string
}

// holds reports whether p has lasted long enough to be carried out.
func (c *calm) holds(p *Plan, now time.Time) bool {
	if p.Moves == 0 || !slices.Equal(p.members, c.members) {
		c.members = p.members
		if now.After(c.since) {
			c.since = now
		}
		return false
	}
	return now.Sub(c.since) >= calmFor
}
