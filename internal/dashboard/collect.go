package dashboard

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

const (
	every      = 2 * time.Second  // between two questions
	askTimeout = 5 * time.Second  // of a question
	chartSpan  = 15 * time.Minute // of points
	maxPoints  = 700              // of them, whatever their steps are
	forgetLost = 5 * time.Minute  // after which a lost process is no problem any more
	lostAfter  = 10 * time.Second // without a sample
)

// point is a point of the charts.
type point struct {
	At        int64    `json:"t"` // milliseconds
	Sessions  int      `json:"sessions"`
	Polling   int      `json:"polling"`
	EventsIn  float64  `json:"eventsIn"`
	EventsOut float64  `json:"eventsOut"`
	BytesIn   float64  `json:"bytesIn"`
	BytesOut  float64  `json:"bytesOut"`
	Errors    float64  `json:"errors"`
	Failures  float64  `json:"failures"`
	CPU       float64  `json:"cpu"`
	Redis     float64  `json:"redis"`
	P50       *float64 `json:"p50"`
	P99       *float64 `json:"p99"`
}

// collect asks the source every two seconds while somebody looks, until ctx ends.
func (d *Dashboard) collect(ctx context.Context) {
	for {
		select {
		case <-d.wakeUp:
			d.watch(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// watch collects until nobody looks. What it has learned ends with it.
func (d *Dashboard) watch(ctx context.Context) {
	nobody := d.nobodyLooks()
	if nobody == nil {
		return // they have left already
	}
	defer d.publish(nil)
	d.setPoints(d.history(ctx))
	c := &collector{windows: map[place]*window{}, memory: memory{lost: map[place]loss{}}}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		v := c.view(ctx, d.cfg.Source)
		v.Records = d.lastRecords()
		d.publish(v)
		select {
		case <-tick.C:
		case <-nobody:
			return
		case <-ctx.Done():
			return
		}
	}
}

// history returns the points that the source has kept.
func (d *Dashboard) history(ctx context.Context) []point {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	past, _ := d.cfg.Source.History(ctx) // without it, the charts begin now
	points := make([]point, 0, len(past))
	for _, p := range past {
		points = append(points, point{
			At: p.At.UnixMilli(), Sessions: p.Sessions, Polling: p.Polling, EventsIn: p.EventsIn, EventsOut: p.EventsOut,
			BytesIn: p.BytesIn, BytesOut: p.BytesOut, Errors: p.Errors, Failures: p.Failures, CPU: p.CPU, Redis: millis(p.Redis),
			P50: quantile(p.Latency, .5), P99: quantile(p.Latency, .99),
		})
	}
	return points
}

// place is where a process runs, whichever it is.
type place struct{ host, name string }

// collector knows the samples of the last seconds.
type collector struct {
	windows map[place]*window
	memory
}

// memory is what a problem may depend on beside the present.
type memory struct {
	lost map[place]loss // places that had a process, on hosts that still answer
}

type loss struct {
	process inspect.Process
	since   time.Time
}

// view asks once, and joins the answer with the earlier ones.
func (c *collector) view(ctx context.Context, source inspect.Source) *view {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	asked := time.Now()
	samples, missing := source.Samples(ctx)
	at := time.Now()
	for i := range samples {
		s := &samples[i]
		in := place{s.Host, s.Name}
		if c.windows[in] == nil {
			c.windows[in] = new(window)
		}
		c.windows[in].push(*s)
		delete(c.lost, in)
	}
	c.forget(at, samples)
	windows := make([]*window, 0, len(c.windows))
	for _, w := range c.windows {
		windows = append(windows, w)
	}
	v := join(at, windows, missing, c.memory)
	v.Took = millis(at.Sub(asked))
	v.Point = v.point()
	return v
}

// forget removes processes that have given no sample for a while, and remembers those whose host
// still answers.
func (c *collector) forget(now time.Time, samples []inspect.Sample) {
	answers, given := map[string]bool{}, map[place]bool{}
	for i := range samples {
		answers[samples[i].Host] = true
		given[place{samples[i].Host, samples[i].Name}] = true
	}
	for in, w := range c.windows {
		if given[in] {
			w.seen = now
			continue
		}
		if now.Sub(w.seen) < lostAfter {
			continue
		}
		delete(c.windows, in)
		if p := w.process(); p.working() && answers[in.host] {
			c.lost[in] = loss{p.Process, now}
		}
	}
	for in, l := range c.lost {
		if now.Sub(l.since) > forgetLost {
			delete(c.lost, in)
		}
	}
}

// point is the view as a point of the charts; nil before anything was measured.
func (v *view) point() *point {
	t := &v.Total
	if !t.Measured {
		return nil
	}
	return &point{At: v.At.UnixMilli(), Sessions: t.Sessions, Polling: t.Polling, EventsIn: t.EventsIn, EventsOut: t.EventsOut, BytesIn: t.BytesIn,
		BytesOut: t.BytesOut, Errors: t.Errors, Failures: t.Failures, CPU: t.CPU, Redis: t.Redis, P50: t.P50, P99: t.P99}
}

func (d *Dashboard) setPoints(points []point) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.points = trimmed(points, time.Now())
}

// trimmed returns the points that the charts have room for.
func trimmed(points []point, now time.Time) []point {
	oldest := now.Add(-chartSpan).UnixMilli()
	first := max(0, len(points)-maxPoints)
	for first < len(points) && points[first].At < oldest {
		first++
	}
	return slices.Delete(points, 0, first)
}

// publish gives all viewers a view, encoded once. Nil means that there is none any more.
func (d *Dashboard) publish(v *view) {
	var now []byte
	if v != nil {
		var err error
		if now, err = json.Marshal(v); err != nil {
			d.cfg.Log.Error("dashboard: the view can't be written", "error", err)
			return
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = now
	if v == nil {
		d.points = nil
		return
	}
	if v.Point != nil {
		d.points = trimmed(append(d.points, *v.Point), v.At)
	}
	for viewer := range d.viewers {
		viewer.tell()
	}
}
