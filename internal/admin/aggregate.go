package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// scrapeTimeout bounds the request to one child. A scrape leaves out a child that is starting or
// dying.
const scrapeTimeout = 2 * time.Second

// asProtobuf asks for the exposition format that is cheapest to read.
var asProtobuf = string(expfmt.NewFormat(expfmt.TypeProtoDelim))

// Aggregate gathers the metrics of a supervisor and of its children. The label process says whose
// they are: "supervisor", or the child's name. children lists the names of running children, whose
// sockets are in runtimeDir.
func Aggregate(own prometheus.Gatherer, runtimeDir string, children func() []string) prometheus.Gatherer {
	return AggregateSockets(own, func() map[string]string {
		sockets := map[string]string{}
		for _, name := range children() {
			sockets[name] = Socket(runtimeDir, name)
		}
		return sockets
	})
}

// AggregateSockets is Aggregate for sockets in other places. children maps names to sockets.
func AggregateSockets(own prometheus.Gatherer, children func() map[string]string) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		sockets := children()
		names := slices.Sorted(maps.Keys(sockets))
		scraped := make([][]*dto.MetricFamily, len(names)+1) // our own first: no child may disagree with those
		errs := make([]error, len(names)+1)
		var wg sync.WaitGroup
		wg.Go(func() {
			scraped[0], errs[0] = own.Gather()
			label(scraped[0], "supervisor", false)
		})
		for i, name := range names {
			wg.Go(func() {
				scraped[i+1], errs[i+1] = scrape(NewSocketClient(sockets[name]))
				label(scraped[i+1], name, isNodeHost(name))
			})
		}
		wg.Wait()
		merged, err := merge(scraped)
		return merged, errors.Join(append(errs, err)...)
	})
}

// scrape reads the metrics of a child. A child that doesn't answer has none.
func scrape(c *Client) ([]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	res, err := c.get(ctx, "/metrics", asProtobuf)
	if err != nil {
		return nil, nil // it shows by its absence
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, nil // a program that uses this path for something else
	}
	raw, err := readAll(res.Body, maxMetrics)
	if err != nil {
		return nil, fmt.Errorf("admin: metrics of a child: %w", err)
	}
	out, err := families(raw, expfmt.ResponseFormat(res.Header))
	if err != nil {
		err = fmt.Errorf("admin: metrics of a child: %w", err)
	}
	return out, err
}

// maxMetrics bounds the metrics of a child. A worker's take some 30 KB. Decoded they may take 60
// times as much.
const maxMetrics = 2 << 20

// families decodes metrics. It returns an error for those that can't be shown, with the families
// before them.
func families(raw []byte, format expfmt.Format) (out []*dto.MetricFamily, err error) {
	var cut error
	if format.FormatType() == expfmt.TypeProtoDelim {
		raw, cut = framed(raw)
	}
	for dec := expfmt.NewDecoder(bytes.NewReader(raw), format); ; {
		f := new(dto.MetricFamily)
		if err := dec.Decode(f); errors.Is(err, io.EOF) {
			return out, cut
		} else if err != nil {
			return out, err
		}
		if !typed(f) {
			return out, fmt.Errorf("%s is not of its type", f.GetName())
		}
		out = append(out, f)
	}
}

// errFraming reports a message whose length exceeds the input. The decoder would allocate that
// length.
var errFraming = errors.New("admin: a length exceeds the message")

// framed returns the whole messages at the start of delimited ones.
func framed(raw []byte) ([]byte, error) {
	for at := 0; at < len(raw); {
		size, n := binary.Uvarint(raw[at:])
		if n <= 0 || size > uint64(len(raw)-at-n) {
			return raw[:at], errFraming
		}
		at += n + int(size)
	}
	return raw, nil
}

// typed reports whether each metric of a family has a value of the family's type. Writing one
// without it would fail for the family of all processes.
func typed(f *dto.MetricFamily) bool {
	return !slices.ContainsFunc(f.Metric, func(m *dto.Metric) bool {
		switch f.GetType() {
		case dto.MetricType_COUNTER:
			return m.Counter == nil
		case dto.MetricType_GAUGE:
			return m.Gauge == nil
		case dto.MetricType_SUMMARY:
			return m.Summary == nil
		case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
			return m.Histogram == nil
		}
		return m.Untyped == nil
	})
}

// isNodeHost reports whether a child speaks for others, Node processes, too.
func isNodeHost(name string) bool { return name == "nodehost" || strings.HasSuffix(name, "/nodehost") }

// label sets the label process, and overrides what the metrics say themselves. For a child that
// speaks for others, the first label process stays. It removes metrics that have a label twice,
// since scrapers would refuse the metrics of all processes.
func label(families []*dto.MetricFamily, process string, forOthers bool) {
	name := "process"
	for _, f := range families {
		f.Metric = slices.DeleteFunc(f.Metric, func(m *dto.Metric) bool {
			of := process
			if i := slices.IndexFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == name }); forOthers && i >= 0 {
				of = m.Label[i].GetValue()
			}
			m.Label = slices.DeleteFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == name })
			m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &of})
			slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
			for i := 1; i < len(m.Label); i++ {
				if m.Label[i].GetName() == m.Label[i-1].GetName() {
					return true
				}
			}
			return false
		})
	}
}

// merge joins families of one name. It leaves out families that disagree on the type.
func merge(scraped [][]*dto.MetricFamily) ([]*dto.MetricFamily, error) {
	byName := map[string]*dto.MetricFamily{}
	var errs []error
	for _, families := range scraped {
		for _, f := range families {
			first, ok := byName[f.GetName()]
			switch {
			case !ok:
				byName[f.GetName()] = f
			case first.GetType() != f.GetType():
				errs = append(errs, fmt.Errorf("admin: two processes disagree on the type of %s", f.GetName()))
			default:
				first.Metric = append(first.Metric, f.Metric...)
			}
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b *dto.MetricFamily) int {
		return cmp.Compare(a.GetName(), b.GetName())
	}), errors.Join(errs...)
}
