package node

import (
	"cmp"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

// promResponse is the type of the message by which prom-client's workers answer the primary of a
// cluster. Our script passes our request to prom-client.
const promResponse = "prom-client:getMetricsRes"

const (
	// promPatience is Host.promPatience. A host's scrape waits for 2 s for the node host.
	promPatience = time.Second
	// promRest is how long a process isn't asked after an answer that was too large, and how long one
	// that hasn't answered isn't asked again.
	promRest = time.Minute
	// maxPromFrame limits the message with an answer.
	maxPromFrame = 4 << 20
	// maxPromBytes limits the metrics of all processes together, as a scrape has them. A host reads 2 MiB
	// of a node host.
	maxPromBytes = 3 << 19
	maxPromName  = 200
	maxPromText  = 1 << 10 // of a help text or a label's value
	maxPromLabel = 32      // labels of a metric
)

// Why a process's metrics of prom-client are in a scrape, or aren't.
const (
	promAnswered  = "answered"
	promFailed    = "failed"    // prom-client says so
	promTimeout   = "timeout"   // no answer came in time
	promSkipped   = "skipped"   // not asked, because of an earlier request
	promOversized = "oversized" // the answer was too large, or some of it was left out
	promMalformed = "malformed" // some of it can't be shown
)

var promOutcomes = []string{promAnswered, promFailed, promTimeout, promSkipped, promOversized, promMalformed}

// scrape asks one process for its metrics.
type scrape struct {
	mu     sync.Mutex
	number int             // of the last request
	result chan promAnswer // of the request under way; nil: none
	asked  time.Time
	rest   time.Time // until when the process isn't asked
}

// promAnswer is what a process says.
type promAnswer struct {
	outcome    string
	registries *ipc.Array
}

// ask sends a request, and returns where the answer will come. It returns nil if the process rests.
func (s *scrape) ask(ch *channel, now time.Time) <-chan promAnswer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.rest) || s.result != nil && now.Sub(s.asked) < promRest {
		return nil
	}
	s.number++
	request := (&ipc.Object{}).Set("cmd", preloadCommand).Set("act", "metrics").Set("request", float64(s.number))
	if ch.sendValue(request) != nil {
		return nil
	}
	s.asked, s.result = now, make(chan promAnswer, 1)
	return s.result
}

// answered takes a message of prom-client. It returns false if it answers no request of ours.
func (s *scrape) answered(o *ipc.Object, size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := o.Int("requestId"); !ok || n != s.number || s.result == nil {
		return false
	}
	registries, ok := o.Get("metrics").(*ipc.Array)
	a := promAnswer{promAnswered, registries}
	switch {
	case size > maxPromFrame:
		a = promAnswer{outcome: promOversized}
		s.rest = time.Now().Add(promRest)
	case !ok:
		a = promAnswer{outcome: promFailed}
	}
	s.result <- a
	s.result = nil
	return true
}

// Gatherer returns a gatherer of own metrics and of those that the processes have in prom-client,
// with the label process. No process can disturb the others', or own.
func (h *Host) Gatherer(own prometheus.Gatherer) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		asked := h.askAll() // they answer while own metrics are gathered
		families, err := own.Gather()
		byName := make(map[string]*dto.MetricFamily, len(families))
		for _, f := range families {
			byName[f.GetName()] = f
		}
		patience := time.NewTimer(h.promPatience)
		defer patience.Stop()
		over := false
		for _, one := range asked {
			a := promAnswer{outcome: promTimeout}
			if over {
				select {
				case a = <-one.result:
				default:
				}
			} else {
				select {
				case a = <-one.result:
				case <-patience.C:
					over = true
				}
			}
			if a.registries != nil {
				read := promReading{process: one.process, budget: maxPromBytes / len(asked), families: map[string]*dto.MetricFamily{}}
				read.registries(a.registries)
				a.outcome = cmp.Or(read.problem, read.into(byName), a.outcome)
			}
			h.metrics.scrapes.WithLabelValues(a.outcome).Inc()
		}
		return slices.SortedFunc(maps.Values(byName), func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) }), err
	})
}

// prompted is a process that may answer.
type prompted struct {
	process string
	result  <-chan promAnswer
}

// askAll asks the processes that have prom-client. Of two with one name it asks the newer.
func (h *Host) askAll() (all []prompted) {
	h.mu.Lock()
	newest := map[string]*child{}
	for _, c := range h.children {
		if before := newest[c.told.Name]; c.speaksProm.Load() && (before == nil || c.started.After(before.started)) {
			newest[c.told.Name] = c
		}
	}
	h.mu.Unlock()
	now := time.Now()
	for _, name := range slices.Sorted(maps.Keys(newest)) {
		c := newest[name]
		if result := c.scrape.ask(c.ch, now); result != nil {
			all = append(all, prompted{strings.ToValidUTF8(name, "\ufffd"), result})
		} else {
			h.metrics.scrapes.WithLabelValues(promSkipped).Inc()
		}
	}
	return all
}

// promReading turns a process's answer into families.
type promReading struct {
	process  string
	budget   int // bytes
	families map[string]*dto.MetricFamily
	problem  string // the first outcome other than promAnswered
}

func (r *promReading) fault(outcome string) { r.problem = cmp.Or(r.problem, outcome) }

var (
	promMetric = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	promLabel  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	promTypes  = map[string]dto.MetricType{
		"counter": dto.MetricType_COUNTER, "gauge": dto.MetricType_GAUGE,
		"histogram": dto.MetricType_HISTOGRAM, "summary": dto.MetricType_SUMMARY,
	}
)

// registries reads what getMetricsAsJSON of each registry returned. Of two metrics with one name it
// takes the first.
func (r *promReading) registries(list *ipc.Array) {
	for _, registry := range list.Items {
		metrics, ok := registry.(*ipc.Array)
		if !ok {
			r.fault(promMalformed)
			continue
		}
		for _, item := range metrics.Items {
			o, ok := item.(*ipc.Object)
			if !ok {
				r.fault(promMalformed)
				continue
			}
			if f := r.family(o); f != nil && r.families[f.GetName()] == nil {
				r.families[f.GetName()] = f
			}
		}
	}
}

// family reads one metric with its values, or returns nil. Names of Sidereal's own metrics are not
// for apps.
func (r *promReading) family(o *ipc.Object) *dto.MetricFamily {
	name := o.Text("name")
	kind, known := promTypes[o.Text("type")]
	values, ok := o.Get("values").(*ipc.Array)
	if !known || !ok || len(name) > maxPromName || !promMetric.MatchString(name) || strings.HasPrefix(name, "sidereal_") {
		r.fault(promMalformed)
		return nil
	}
	series := map[string]*dto.Metric{} // by labels
	var order []string
	for _, item := range values.Items {
		v, ok := item.(*ipc.Object)
		if !ok {
			r.fault(promMalformed)
			continue
		}
		labels, key, special, ok := r.labels(v.Object("labels"), kind)
		if !ok {
			r.fault(promMalformed)
			continue
		}
		m := series[key]
		if m == nil {
			m = &dto.Metric{Label: labels}
			series[key] = m
			order = append(order, key)
		}
		r.value(m, kind, name, v, special)
	}
	f := &dto.MetricFamily{Name: &name, Type: &kind}
	if help := clip(o.Text("help")); help != "" {
		f.Help = &help
	}
	for _, key := range order {
		if m := series[key]; complete(m, kind) {
			f.Metric = append(f.Metric, m)
		}
	}
	if len(f.Metric) == 0 {
		return nil // of a metric with labels that nobody has used yet
	}
	return f
}

// labels reads the labels of a value. special is that of a bucket or a quantile, which isn't among
// them.
func (r *promReading) labels(o *ipc.Object, kind dto.MetricType) (pairs []*dto.LabelPair, key, special string, ok bool) {
	if len(o.Keys) > maxPromLabel {
		return nil, "", "", false
	}
	apart := map[dto.MetricType]string{dto.MetricType_HISTOGRAM: "le", dto.MetricType_SUMMARY: "quantile"}[kind]
	found := map[string]string{"process": r.process}
	for i, name := range o.Keys {
		var value string
		switch v := o.Values[i].(type) {
		case string:
			value = clip(v)
		case float64:
			value = strconv.FormatFloat(v, 'f', -1, 64)
		case bool:
			value = strconv.FormatBool(v)
		default: // undefined: the label isn't there
			continue
		}
		switch {
		case name == apart && apart != "":
			special = value
		case name == "process":
		case len(name) > maxPromName || !promLabel.MatchString(name) || strings.HasPrefix(name, "__"):
			return nil, "", "", false
		default:
			found[name] = value
		}
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(found)) {
		value := found[name]
		pairs = append(pairs, &dto.LabelPair{Name: &name, Value: &value})
		text.WriteString(name + "\xff" + value + "\xff")
	}
	return pairs, text.String(), special, true
}

// value puts one value into its metric.
func (r *promReading) value(m *dto.Metric, kind dto.MetricType, name string, o *ipc.Object, special string) {
	v, ok := o.Get("value").(float64)
	if !ok {
		v = math.NaN() // as JSON has it: null
	}
	part, _ := strings.CutPrefix(o.Text("metricName"), name)
	count := uint64(bounded(o.Get("value")))
	switch kind {
	case dto.MetricType_COUNTER:
		m.Counter = &dto.Counter{Value: &v}
	case dto.MetricType_GAUGE:
		m.Gauge = &dto.Gauge{Value: &v}
	case dto.MetricType_HISTOGRAM:
		if m.Histogram == nil {
			m.Histogram = &dto.Histogram{}
		}
		switch bound, err := parseBound(special); {
		case part == "_sum":
			m.Histogram.SampleSum = &v
		case part == "_count":
			m.Histogram.SampleCount = &count
		case part == "_bucket" && err == nil:
			m.Histogram.Bucket = append(m.Histogram.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: &count})
		default:
			r.fault(promMalformed)
		}
	case dto.MetricType_SUMMARY:
		if m.Summary == nil {
			m.Summary = &dto.Summary{}
		}
		switch q, err := strconv.ParseFloat(special, 64); {
		case part == "_sum":
			m.Summary.SampleSum = &v
		case part == "_count":
			m.Summary.SampleCount = &count
		case err == nil:
			m.Summary.Quantile = append(m.Summary.Quantile, &dto.Quantile{Quantile: &q, Value: &v})
		default:
			r.fault(promMalformed)
		}
	}
}

func parseBound(text string) (float64, error) {
	if text == "+Inf" {
		return math.Inf(1), nil
	}
	return strconv.ParseFloat(text, 64)
}

// complete reports whether a metric can be shown, and puts its buckets and quantiles in order. Each
// is there once.
func complete(m *dto.Metric, kind dto.MetricType) bool {
	switch kind {
	case dto.MetricType_HISTOGRAM:
		h := m.Histogram
		slices.SortStableFunc(h.Bucket, func(a, b *dto.Bucket) int { return cmp.Compare(a.GetUpperBound(), b.GetUpperBound()) })
		h.Bucket = slices.CompactFunc(h.Bucket, func(a, b *dto.Bucket) bool { return cmp.Compare(a.GetUpperBound(), b.GetUpperBound()) == 0 })
		return h.SampleCount != nil
	case dto.MetricType_SUMMARY:
		s := m.Summary
		slices.SortStableFunc(s.Quantile, func(a, b *dto.Quantile) int { return cmp.Compare(a.GetQuantile(), b.GetQuantile()) })
		s.Quantile = slices.CompactFunc(s.Quantile, func(a, b *dto.Quantile) bool { return cmp.Compare(a.GetQuantile(), b.GetQuantile()) == 0 })
		return s.SampleCount != nil
	}
	return true
}

// into adds the families to those of a scrape, the small ones first, as far as they fit. It returns
// an outcome if some were left out.
func (r *promReading) into(all map[string]*dto.MetricFamily) (outcome string) {
	families := slices.SortedFunc(maps.Values(r.families), func(a, b *dto.MetricFamily) int {
		return cmp.Or(cmp.Compare(len(a.Metric), len(b.Metric)), cmp.Compare(a.GetName(), b.GetName()))
	})
	left := r.budget
	for _, f := range families {
		if left -= proto.Size(f); left < 0 {
			return promOversized
		}
		switch first := all[f.GetName()]; {
		case first == nil:
			all[f.GetName()] = f
		case first.GetType() != f.GetType():
			outcome = promMalformed
		default:
			first.Metric = append(first.Metric, f.Metric...)
		}
	}
	return outcome
}

// clip returns the beginning of a text, in valid UTF-8.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxPromText)], "\ufffd") }
