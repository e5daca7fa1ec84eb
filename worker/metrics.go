package worker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	// gatherWithin limits how long a scrape waits for the app's metrics. A host's scrape waits for
	// 2 s for each worker.
	gatherWithin = time.Second
	// maxAppSeries limits the series of the app that a worker shows.
	maxAppSeries = 10_000
	// maxAppLabels limits the bytes of the labels and help texts of these series. A host reads 2
	// MiB of each worker.
	maxAppLabels = 1 << 20
	// complainEvery is how often the same trouble with the app's metrics is logged.
	complainEvery = time.Minute
)

// appMetrics are the metrics of the app: those that it registered with Info.Metrics, and those of
// prometheus's default registry. They can't disturb the worker's own: a scrape has those whatever
// the app's collectors do.
type appMetrics struct {
	own *prometheus.Registry // of the worker
	app *prometheus.Registry
	log *slog.Logger

	registering sync.Mutex // one collector at a time is tried in own

	mu         sync.Mutex // guards the rest
	gathering  bool       // an earlier scrape still waits for a collector
	complained map[string]time.Time
}

var _ prometheus.Registerer = (*appMetrics)(nil)

func newAppMetrics(own *prometheus.Registry, log *slog.Logger) *appMetrics {
	return &appMetrics{own: own, app: prometheus.NewRegistry(), log: log, complained: make(map[string]time.Time)}
}

// Register registers a collector of the app. It refuses one that can't be scraped beside the
// worker's.
func (m *appMetrics) Register(c prometheus.Collector) error {
	m.registering.Lock()
	defer m.registering.Unlock()
	if err := m.own.Register(c); err != nil {
		return fmt.Errorf("worker: the worker already has this metric: %w", err)
	}
	m.own.Unregister(c)
	return m.app.Register(c)
}

// MustRegister registers collectors and panics at the first error.
func (m *appMetrics) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := m.Register(c); err != nil {
			panic(err)
		}
	}
}

// Unregister removes a collector of the app.
func (m *appMetrics) Unregister(c prometheus.Collector) bool { return m.app.Unregister(c) }

// beside gathers the worker's metrics and the app's.
func (m *appMetrics) beside() prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		all, err := m.own.Gather()
		taken := make(map[string]bool, len(all))
		for _, f := range all {
			taken[f.GetName()] = true
		}
		var size extent
		families := m.gather()
		slices.SortStableFunc(families, func(a, b *dto.MetricFamily) int { return cmp.Compare(len(a.Metric), len(b.Metric)) })
		for _, f := range families { // the largest are left out
			switch {
			case taken[f.GetName()]: // such as the runtime's, which the default registry has, too
			case !size.fits(f):
				m.complain("metrics of the app are left out: they are too many", "metric", f.GetName(), "series", len(f.Metric))
			default:
				taken[f.GetName()] = true
				all = append(all, f)
			}
		}
		return all, err
	})
}

// gather returns the app's families. It returns none if a collector takes too long.
func (m *appMetrics) gather() []*dto.MetricFamily {
	m.mu.Lock()
	if m.gathering {
		m.mu.Unlock()
		m.complain("metrics of the app are left out: a collector hangs")
		return nil
	}
	m.gathering = true
	m.mu.Unlock()
	result := make(chan []*dto.MetricFamily, 1)
	go func() {
		app, err := m.app.Gather()
		shared, more := prometheus.DefaultGatherer.Gather()
		m.mu.Lock()
		m.gathering = false
		m.mu.Unlock()
		if err := errors.Join(err, more); err != nil {
			m.complain("metrics of the app are incomplete", "error", err)
		}
		result <- append(app, shared...)
	}()
	patience := time.NewTimer(gatherWithin)
	defer patience.Stop()
	select {
	case families := <-result:
		return families
	case <-patience.C:
		m.complain("metrics of the app are left out: a collector hangs")
		return nil
	}
}

// complain logs a trouble, at most once a minute.
func (m *appMetrics) complain(message string, fields ...any) {
	m.mu.Lock()
	due := time.Since(m.complained[message]) >= complainEvery
	if due {
		m.complained[message] = time.Now()
	}
	m.mu.Unlock()
	if due {
		m.log.Warn(message, fields...)
	}
}

// extent is what the app's families take so far.
type extent struct{ series, bytes int }

// fits adds a family, unless that exceeds the limits.
func (e *extent) fits(f *dto.MetricFamily) bool {
	next := extent{e.series + len(f.Metric), e.bytes + len(f.GetHelp())}
	for _, metric := range f.Metric {
		for _, l := range metric.Label {
			next.bytes += len(l.GetName()) + len(l.GetValue())
		}
		next.series += len(metric.GetHistogram().GetBucket()) + len(metric.GetSummary().GetQuantile())
	}
	if next.series > maxAppSeries || next.bytes > maxAppLabels {
		return false
	}
	*e = next
	return true
}

// tee registers collectors in two places.
type tee struct{ one, other prometheus.Registerer }

// both returns a Registerer for both places; other may be nil.
func both(one, other prometheus.Registerer) prometheus.Registerer {
	if other == nil {
		return one
	}
	return tee{one, other}
}

func (t tee) Register(c prometheus.Collector) error {
	if err := t.one.Register(c); err != nil {
		return err
	}
	if err := t.other.Register(c); err != nil {
		t.one.Unregister(c)
		return err
	}
	return nil
}

func (t tee) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := t.Register(c); err != nil {
			panic(err)
		}
	}
}

func (t tee) Unregister(c prometheus.Collector) bool {
	one, other := t.one.Unregister(c), t.other.Unregister(c)
	return one || other
}
