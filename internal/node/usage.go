package node

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

// Usage is how a Node process does, by its last report. A process reports every 5 seconds, unless
// SIDEREAL_INJECT is off or its event loop is blocked.
type Usage struct {
	Name    string // the process's, as in the label process of metrics
	Worker  string // its worker id; empty: it is none
	PID     int
	Slot    int
	Started time.Time // when it opened its channel
	At      time.Time // of the report; zero: there was none

	CPU        time.Duration // user and system, since the start
	Memory     int64         // resident bytes
	Sessions   int
	Sockets    int    // of Socket.IO, in all namespaces
	Received   uint64 // Socket.IO events since the start
	Sent       uint64 // a broadcast counts once for each client
	LoopDelay  time.Duration
	Heap       int64         // used bytes
	GC         time.Duration // since the start
	DelayHalf  time.Duration // median of the event loop's delay; LoopDelay is the 99th percentile
	DelayMax   time.Duration
	Busy       float64 // share of the time in which the event loop had work
	HeapTotal  int64
	External   int64 // bytes outside the heap
	Collecting [len(collections)]time.Duration
}

// collections are V8's kinds of garbage collections.
var collections = [...]string{"minor", "major", "incremental", "weakcb"}

// Usages returns how the processes with a channel do, by name.
func (h *Host) Usages() []Usage {
	h.mu.Lock()
	children := make([]*child, 0, len(h.children))
	for _, c := range h.children {
		children = append(children, c)
	}
	h.mu.Unlock()
	all := make([]Usage, len(children))
	for i, c := range children {
		all[i] = c.usageNow()
	}
	slices.SortFunc(all, func(a, b Usage) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.Started.Compare(b.Started)) })
	return all
}

func (c *child) usageNow() (u Usage) {
	if last := c.usage.Load(); last != nil {
		u = *last
	}
	c.mu.Lock()
	u.Worker = c.worker
	c.mu.Unlock()
	u.Name, u.PID, u.Slot, u.Started, u.Sessions = strings.ToValidUTF8(c.told.Name, "\ufffd"), c.told.PID, c.told.Slot, c.started, c.load()
	return u
}

// reportsUsage takes a process's report. Counts never go down, whatever it says.
func (c *child) reportsUsage(o *ipc.Object) {
	var before Usage
	if last := c.usage.Load(); last != nil {
		before = *last
	}
	number := func(key string) float64 { return bounded(o.Get(key)) }
	seconds := func(key string) time.Duration {
		return time.Duration(min(number(key), maxSeconds) * float64(time.Second))
	}
	u := Usage{
		At: time.Now(), CPU: max(seconds("cpu"), before.CPU), Memory: int64(number("rss")), Sockets: int(number("sockets")),
		Received: max(uint64(number("received")), before.Received), Sent: max(uint64(number("sent")), before.Sent),
		LoopDelay: seconds("most"), DelayHalf: seconds("half"), DelayMax: seconds("max"), Busy: min(number("busy"), 1),
		Heap: int64(number("heap")), HeapTotal: int64(number("heapTotal")), External: int64(number("external")),
	}
	for i, kind := range collections {
		u.Collecting[i] = max(seconds(kind), before.Collecting[i])
		u.GC += u.Collecting[i]
	}
	c.usage.Store(&u)
	if prom, _ := o.Get("prom").(bool); prom {
		c.speaksProm.Store(true)
	}
}

// maxSeconds is some 68 years.
const maxSeconds = math.MaxInt32

// bounded returns a number of a process: not negative, and at most what JavaScript counts exactly.
func bounded(v ipc.Value) float64 {
	f, _ := v.(float64)
	if !(f > 0) { // NaN, too
		return 0
	}
	return min(f, 1<<53)
}

// usageMetrics are the metrics of the processes' reports.
type usageMetrics struct{ usages func() []Usage }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"process"}, labels...), nil)
}

var (
	descDelay = describe("sidereal_node_event_loop_delay_seconds",
		"Delay of the event loop in the last 5 s, by quantile.", "quantile")
	descBusy       = describe("sidereal_node_event_loop_busy_ratio", "Share of the last 5 s in which the event loop had work.")
	descHeap       = describe("sidereal_node_heap_bytes", "Bytes of V8's heap by kind: used, total, and external to it.", "kind")
	descMemory     = describe("sidereal_node_memory_bytes", "Resident memory.")
	descCPU        = describe("sidereal_node_cpu_seconds_total", "CPU time, user and system.")
	descGC         = describe("sidereal_node_gc_seconds_total", "Time in garbage collections, by kind.", "kind")
	descSessions   = describe("sidereal_node_sessions", "Engine.IO sessions.")
	descSockets    = describe("sidereal_node_sockets", "Connected sockets, of all namespaces.")
	descEvents     = describe("sidereal_node_events_total", "Socket.IO events received from and sent to clients; a broadcast counts once for each client.", "direction")
	descReportTime = describe("sidereal_node_report_timestamp_seconds", "When the process reported last.")
)

var usageDescs = []*prometheus.Desc{
	descDelay, descBusy, descHeap, descMemory, descCPU, descGC, descSessions, descSockets, descEvents, descReportTime,
}

// Describe implements prometheus.Collector.
func (m usageMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range usageDescs {
		descs <- d
	}
}

// Collect implements prometheus.Collector. Of two processes with one name, while one replaces the
// other, it has the newer.
func (m usageMetrics) Collect(metrics chan<- prometheus.Metric) {
	usages := m.usages()
	for i, u := range usages {
		if u.At.IsZero() || i+1 < len(usages) && usages[i+1].Name == u.Name && !usages[i+1].At.IsZero() {
			continue
		}
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{u.Name}, labels...)...)
		}
		counter := func(d *prometheus.Desc, v float64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, append([]string{u.Name}, labels...)...)
		}
		gauge(descDelay, u.DelayHalf.Seconds(), "0.5")
		gauge(descDelay, u.LoopDelay.Seconds(), "0.99")
		gauge(descDelay, u.DelayMax.Seconds(), "1")
		gauge(descBusy, u.Busy)
		gauge(descHeap, float64(u.Heap), "used")
		gauge(descHeap, float64(u.HeapTotal), "total")
		gauge(descHeap, float64(u.External), "external")
		gauge(descMemory, float64(u.Memory))
		counter(descCPU, u.CPU.Seconds())
		for i, kind := range collections {
			counter(descGC, u.Collecting[i].Seconds(), kind)
		}
		gauge(descSessions, float64(u.Sessions))
		gauge(descSockets, float64(u.Sockets))
		counter(descEvents, float64(u.Received), "in")
		counter(descEvents, float64(u.Sent), "out")
		gauge(descReportTime, float64(u.At.UnixMilli())/1e3)
	}
}
