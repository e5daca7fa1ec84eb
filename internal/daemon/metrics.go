package daemon

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics has the metrics of a daemon's processes and their logs.
type Metrics struct {
	list      func() Listing
	processes *prometheus.Desc
	memory    *prometheus.Desc
	written   prometheus.Counter
	lost      prometheus.Counter
	skipped   prometheus.Counter
}

// NewMetrics registers a daemon's metrics. It calls list at each scrape.
func NewMetrics(reg prometheus.Registerer, list func() Listing) (*Metrics, error) {
	m := &Metrics{
		list:      list,
		processes: prometheus.NewDesc("sidereal_daemon_processes", "Processes of the list, by status.", []string{"status"}, nil),
		memory:    prometheus.NewDesc("sidereal_daemon_process_memory_bytes", "Resident memory of a process of the list.", []string{"name", "id"}, nil),
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_daemon_log_bytes_total", Help: "Bytes that processes of the list have written to their output.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_daemon_log_lost_bytes_total", Help: "Bytes that could not be written to a log file.",
		}),
		skipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_daemon_log_skipped_lines_total", Help: "Lines that a command which follows logs was too slow to be sent.",
		}),
	}
	return m, errors.Join(reg.Register(m), reg.Register(m.written), reg.Register(m.lost), reg.Register(m.skipped))
}

// wrote, lose and skip count for the daemon; nil counts nothing.

func (m *Metrics) wrote(bytes int) {
	if m != nil {
		m.written.Add(float64(bytes))
	}
}

func (m *Metrics) lose(bytes int) {
	if m != nil {
		m.lost.Add(float64(bytes))
	}
}

func (m *Metrics) skip() {
	if m != nil {
		m.skipped.Inc()
	}
}

// Describe is prometheus.Collector's.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.processes
	to <- m.memory
}

// Collect is prometheus.Collector's.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	count := map[Status]int{}
	for _, p := range m.list().Processes {
		count[p.Status]++
		if p.PID != 0 {
			to <- prometheus.MustNewConstMetric(m.memory, prometheus.GaugeValue, float64(p.Memory), p.Name, strconv.Itoa(p.ID))
		}
	}
	for _, s := range []Status{Launching, Online, Stopping, Stopped, Errored, Waiting} {
		to <- prometheus.MustNewConstMetric(m.processes, prometheus.GaugeValue, float64(count[s]), string(s))
	}
}
