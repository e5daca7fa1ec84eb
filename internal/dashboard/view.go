package dashboard

import (
	"cmp"
	"slices"
	"time"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

// maxProcesses bounds the rows of a view.
const maxProcesses = inspect.MaxRows

// view is the cluster at a moment, as the page shows it. Rates are per second, durations
// milliseconds.
type view struct {
	At        time.Time `json:"at"`
	Total     total     `json:"total"`
	Hosts     []hostRow `json:"hosts"`
	Processes []process `json:"processes"`
	More      int       `json:"more"` // processes without a row
	Problems  []problem `json:"problems"`
	Records   []record  `json:"records"`
	Point     *point    `json:"point,omitempty"` // one more for the charts
	Took      float64   `json:"took"`            // to ask
}

// total sums up the cluster.
type total struct {
	Hosts      int      `json:"hosts"`
	Workers    int      `json:"workers"`
	Ready      int      `json:"ready"` // of the workers
	Routers    int      `json:"routers"`
	Sessions   int      `json:"sessions"`
	Polling    int      `json:"polling"`
	Sockets    int      `json:"sockets"`
	Relayed    int      `json:"relayed"`
	QueueBytes int64    `json:"queueBytes"`
	Memory     int64    `json:"memory"`
	UsesRedis  bool     `json:"usesRedis"`
	RedisUp    bool     `json:"redisUp"` // of all that use it
	Redis      float64  `json:"redis"`   // the longest last probe
	Measured   bool     `json:"measured"`
	rates               // only if Measured
	P50        *float64 `json:"p50"` // nil: no event was timed
	P99        *float64 `json:"p99"`
}

// rates is what one process, or several, do per second.
type rates struct {
	EventsIn  float64 `json:"eventsIn"`
	EventsOut float64 `json:"eventsOut"`
	BytesIn   float64 `json:"bytesIn"`
	BytesOut  float64 `json:"bytesOut"`
	Errors    float64 `json:"errors"`
	Requests  float64 `json:"requests"`
	Failures  float64 `json:"failures"`
	CPU       float64 `json:"cpu"` // cores
	GC        float64 `json:"gc"`  // share of the time
}

func (r *rates) add(other rates) {
	r.EventsIn += other.EventsIn
	r.EventsOut += other.EventsOut
	r.BytesIn += other.BytesIn
	r.BytesOut += other.BytesOut
	r.Errors += other.Errors
	r.Requests += other.Requests
	r.Failures += other.Failures
	r.CPU += other.CPU
	r.GC += other.GC
}

// hostRow sums up a host.
type hostRow struct {
	Name     string  `json:"name"`
	Workers  int     `json:"workers"`
	Ready    int     `json:"ready"`
	Sessions int     `json:"sessions"`
	EventsIn float64 `json:"eventsIn"`
	CPU      float64 `json:"cpu"`
	Memory   int64   `json:"memory"`
}

// process is a row of the tables of workers and routers.
type process struct {
	inspect.Process
	State       string   `json:"state,omitempty"`
	Restarts    int      `json:"restarts"`
	LastEnd     string   `json:"lastEnd,omitempty"`
	Memory      int64    `json:"memory"`
	Sessions    int      `json:"sessions"`
	Polling     int      `json:"polling"`
	Sockets     int      `json:"sockets"`
	QueueBytes  int64    `json:"queueBytes"`
	Connections int      `json:"connections"`
	Relayed     int      `json:"relayed"`
	UsesRedis   bool     `json:"usesRedis"`
	RedisUp     bool     `json:"redisUp"`
	Redis       float64  `json:"redis"`
	LoopDelay   *float64 `json:"loopDelay"` // nil: not a Node worker
	Heap        int64    `json:"heap,omitempty"`
	Measured    bool     `json:"measured"`
	rates
	P50 *float64 `json:"p50"`
	P99 *float64 `json:"p99"`

	latency    inspect.Histogram
	queueAtFst int64 // bytes of the queue at the begin of the window
}

// working reports whether a process has clients.
func (p *process) working() bool {
	return p.Role == "worker" || p.Role == "node" || p.Role == "program"
}

// ready reports whether clients can reach the process. One without a supervisor is.
func (p *process) ready() bool { return p.State == "" || p.State == "ready" }

// join makes a view of the latest samples of each process.
func join(at time.Time, windows []*window, missing error, prior memory) *view {
	v := &view{At: at, Hosts: []hostRow{}, Processes: []process{}}
	var latency inspect.Histogram
	var reports []report
	rowOf := map[string]int{}
	v.Total.RedisUp = true
	for _, w := range windows {
		p := w.process()
		last := w.last()
		i, ok := rowOf[p.Host]
		if !ok {
			i = len(v.Hosts)
			rowOf[p.Host] = i
			v.Hosts = append(v.Hosts, hostRow{Name: p.Host})
		}
		for _, text := range last.Problems {
			reports = append(reports, report{p.Host, text})
		}
		v.Total.add(&p)
		v.Hosts[i].add(&p)
		for b, n := range p.latency {
			latency[b] += n
		}
		v.Processes = append(v.Processes, p)
	}
	v.Total.Hosts = len(v.Hosts)
	v.Total.P50, v.Total.P99 = quantile(latency, .5), quantile(latency, .99)
	slices.SortFunc(v.Hosts, func(a, b hostRow) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(v.Processes, func(a, b process) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name)) // worker-2 before worker-10
	})
	v.Problems = problems(v, reports, missing, prior)
	if v.More = max(len(v.Processes)-maxProcesses, 0); v.More > 0 {
		v.Processes = v.Processes[:maxProcesses]
	}
	return v
}

func (t *total) add(p *process) {
	switch {
	case p.working():
		t.Workers++
		if p.ready() {
			t.Ready++
		}
	case p.Role == "router":
		t.Routers++
	}
	t.Sessions += p.Sessions
	t.Polling += p.Polling
	t.Sockets += p.Sockets
	t.Relayed += p.Relayed
	t.QueueBytes += p.QueueBytes
	t.Memory += p.Memory
	if p.UsesRedis {
		t.UsesRedis = true
		t.RedisUp = t.RedisUp && p.RedisUp
		t.Redis = max(t.Redis, p.Redis)
	}
	t.Measured = t.Measured || p.Measured
	t.rates.add(p.rates)
}

func (h *hostRow) add(p *process) {
	if p.working() {
		h.Workers++
		if p.ready() {
			h.Ready++
		}
	}
	h.Sessions += p.Sessions
	h.EventsIn += p.EventsIn
	h.CPU += p.CPU
	h.Memory += p.Memory
}

// span is the time over which rates are means, so that figures stay readable.
const span = 10 * time.Second

// window has the samples of one process within the last span.
type window struct {
	samples []inspect.Sample
	seen    time.Time // when the last answer had one
}

func (w *window) last() *inspect.Sample { return &w.samples[len(w.samples)-1] }

// push adds a sample, and removes those that are older than span. A sample of another process in the
// same place begins anew.
func (w *window) push(s inspect.Sample) {
	if n := len(w.samples); n > 0 {
		switch last := w.samples[n-1]; {
		case last.PID != s.PID || !last.Started.Equal(s.Started):
			w.samples = w.samples[:0]
		case !s.At.After(last.At):
			return
		}
	}
	w.samples = append(w.samples, s)
	old := 0
	for old < len(w.samples)-2 && s.At.Sub(w.samples[old+1].At) >= span {
		old++
	}
	w.samples = slices.Delete(w.samples, 0, old)
}

// process is the row of the window's process.
func (w *window) process() process {
	first, last := &w.samples[0], w.last()
	p := process{
		Process: last.Process, State: last.State, Restarts: last.Restarts, LastEnd: last.LastEnd, Memory: last.Memory,
		Sessions: last.Sessions, Polling: last.Polling, Sockets: last.Sockets, QueueBytes: last.QueueBytes,
		Connections: last.Connections, Relayed: last.Relayed, UsesRedis: last.UsesRedis, RedisUp: last.RedisUp,
		Redis: millis(last.RedisLatency), Heap: last.Heap, queueAtFst: first.QueueBytes,
	}
	if last.Role == "node" && last.LoopDelay > 0 {
		delay := millis(last.LoopDelay)
		p.LoopDelay = &delay
	}
	seconds := last.At.Sub(first.At).Seconds()
	if seconds <= 0 {
		return p
	}
	per := func(now, then uint64) float64 { return float64(grown(now, then)) / seconds }
	p.Measured = true
	p.rates = rates{
		EventsIn: per(last.EventsIn, first.EventsIn), EventsOut: per(last.EventsOut, first.EventsOut),
		BytesIn: per(last.BytesIn, first.BytesIn), BytesOut: per(last.BytesOut, first.BytesOut),
		Errors: per(last.Errors, first.Errors), Requests: per(last.Requests, first.Requests), Failures: per(last.Failures, first.Failures),
		CPU: max(0, (last.CPU-first.CPU).Seconds()/seconds), GC: max(0, (last.GC-first.GC).Seconds()/seconds),
	}
	for i := range p.latency {
		p.latency[i] = grown(last.Latency[i], first.Latency[i])
	}
	p.P50, p.P99 = quantile(p.latency, .5), quantile(p.latency, .99)
	return p
}

// grown is by how much a counter has grown.
func grown(now, then uint64) uint64 {
	if now < then {
		return 0
	}
	return now - then
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// quantile estimates a quantile in milliseconds, as if durations were even within a bucket. It
// returns nil for an empty histogram, and the last bound for the last bucket.
func quantile(h inspect.Histogram, q float64) *float64 {
	var all uint64
	for _, n := range h {
		all += n
	}
	if all == 0 {
		return nil
	}
	rank, below := q*float64(all), 0.0
	lower := time.Duration(0)
	for i, bound := range inspect.LatencyBounds {
		if n := float64(h[i]); n > 0 && below+n >= rank {
			found := millis(lower) + millis(bound-lower)*(rank-below)/n
			return &found
		}
		below += float64(h[i])
		lower = bound
	}
	most := millis(lower)
	return &most
}
