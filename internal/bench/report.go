package bench

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// Report is the result of a run. Rates cover whole phases.
type Report struct {
	URL        string   `json:"url"`
	Namespace  string   `json:"namespace"`
	Transports []string `json:"transports"`
	Clients    Clients  `json:"clients"`
	Events     Events   `json:"events"`
}

// Clients describes the connections: how connecting went, and how many stayed.
type Clients struct {
	Asked     int              `json:"asked"`
	Connected int64            `json:"connected"`
	Upgraded  int64            `json:"upgraded"` // from polling to WebSocket
	Failed    int64            `json:"failed"`   // to connect
	Lost      int64            `json:"lost"`     // of the connected
	Seconds   float64          `json:"seconds"`  // until the last one had connected or failed
	PerSecond float64          `json:"perSecond"`
	TookMs    Quantiles        `json:"tookMs"` // one client's way to its namespace
	FailedBy  map[string]int64 `json:"failedBy,omitempty"`
	LostBy    map[string]int64 `json:"lostBy,omitempty"` // by the client's reason
}

// Events describes the emitted and the acknowledged events.
type Events struct {
	Sent          int64            `json:"sent"`
	Acknowledged  int64            `json:"acknowledged"`
	Failed        int64            `json:"failed"`  // sent and not acknowledged, or due and not sent
	Seconds       float64          `json:"seconds"` // of the load
	PerSecond     float64          `json:"perSecond"`
	LatencyMs     Quantiles        `json:"latencyMs"`
	BytesSent     int64            `json:"bytesSent"` // of the events' values, as JSON and binary
	BytesReceived int64            `json:"bytesReceived"`
	FailedBy      map[string]int64 `json:"failedBy,omitempty"`
}

// Quantiles has quantiles of durations in milliseconds, or 0 without any.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// report makes the Report. acknowledged is the number of events acknowledged by the end of the
// load.
func (r *run) report(connecting, loaded time.Duration, acknowledged int64) *Report {
	return &Report{
		URL: r.Client.URL, Namespace: r.Namespace, Transports: r.Client.Transports,
		Clients: Clients{
			Asked: r.Config.Clients, Connected: r.connected.Load(), Upgraded: r.upgraded.Load(), Failed: r.refused.total(), Lost: r.lost.total(),
			Seconds: rounded(connecting, time.Second), PerSecond: perSecond(r.connected.Load(), connecting), TookMs: r.connecting.quantiles(),
			FailedBy: r.refused.kinds(), LostBy: r.lost.kinds(),
		},
		Events: Events{
			Sent: r.sent.Load(), Acknowledged: r.acknowledged.Load(), Failed: r.failed.total(),
			Seconds: rounded(loaded, time.Second), PerSecond: perSecond(acknowledged, loaded), LatencyMs: r.latency.quantiles(),
			BytesSent: r.bytesSent.Load(), BytesReceived: r.bytesReceived.Load(), FailedBy: r.failed.kinds(),
		},
	}
}

func perSecond(n int64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return math.Round(float64(n)/in.Seconds()*10) / 10
}

func (h *histogram) quantiles() Quantiles {
	ms := func(share float64) float64 { return rounded(h.quantile(share), time.Millisecond) }
	return Quantiles{ms(0.5), ms(0.9), ms(0.99), ms(1)}
}

// rounded returns a duration in units, to the thousandth.
func rounded(d, unit time.Duration) float64 {
	return math.Round(float64(d)/float64(unit)*1000) / 1000
}

// Failed reports whether any client or event failed.
func (r *Report) Failed() bool { return r.Clients.Failed+r.Clients.Lost+r.Events.Failed > 0 }

// Print writes the report as a table, without empty lines.
func (r *Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	c, e := r.Clients, r.Events
	fmt.Fprintf(w, "clients\t%d of %d connected, %d failed, %d lost", c.Connected, c.Asked, c.Failed, c.Lost)
	if upgrades(r.Transports) {
		fmt.Fprintf(w, ", %d upgraded", c.Upgraded)
	}
	fmt.Fprintln(w)
	printKinds(w, "failed", c.FailedBy)
	printKinds(w, "lost", c.LostBy)
	if c.Connected > 0 {
		fmt.Fprintf(w, "connecting\t%.2f s, %.0f/s\n", c.Seconds, c.PerSecond)
		fmt.Fprintf(w, "each took\t%s\n", c.TookMs)
	}
	if e.Sent+e.Failed > 0 {
		fmt.Fprintf(w, "events\t%d sent, %d acknowledged, %d failed\n", e.Sent, e.Acknowledged, e.Failed)
		printKinds(w, "failed", e.FailedBy)
		fmt.Fprintf(w, "load\t%.2f s, %.0f acknowledged/s\n", e.Seconds, e.PerSecond)
		fmt.Fprintf(w, "bytes\t%d sent, %d received, of the values\n", e.BytesSent, e.BytesReceived)
	}
	if e.Acknowledged > 0 {
		fmt.Fprintf(w, "latency\t%s\n", e.LatencyMs)
	}
	return w.Flush()
}

// printKinds writes a line for each kind, the most frequent first.
func printKinds(w io.Writer, name string, by map[string]int64) {
	kinds := slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b)) })
	for _, k := range kinds {
		fmt.Fprintf(w, "  %s\t%d: %s\n", name, by[k], k)
	}
}

// String formats the quantiles for people.
func (q Quantiles) String() string {
	shownMs := func(ms float64) string { return shown(time.Duration(ms * float64(time.Millisecond))) }
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s, max %s", shownMs(q.P50), shownMs(q.P90), shownMs(q.P99), shownMs(q.Max))
}

// shown formats a duration with its significant digits.
func shown(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 100*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
