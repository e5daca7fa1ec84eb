package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// scrapeTimeout bounds the question to one child. A child that is starting or dying is left out of that scrape.
const scrapeTimeout = 2 * time.Second

// asProtobuf asks for the exposition format that costs least to read.
var asProtobuf = string(expfmt.NewFormat(expfmt.TypeProtoDelim))

// Aggregate gathers the metrics of a supervisor and of its children. Each gets the label process: "supervisor", or the
// child's name. children lists the names of those that run, whose sockets are in runtimeDir.
func Aggregate(own prometheus.Gatherer, runtimeDir string, children func() []string) prometheus.Gatherer {
	return AggregateSockets(own, func() map[string]string {
		sockets := map[string]string{}
		for _, name := range children() {
			sockets[name] = Socket(runtimeDir, name)
		}
		return sockets
	})
}

// AggregateSockets is Aggregate for children whose sockets are anywhere; children tells them by name.
func AggregateSockets(own prometheus.Gatherer, children func() map[string]string) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		sockets := children()
		names := slices.Sorted(maps.Keys(sockets))
		scraped := make([][]*dto.MetricFamily, len(names)+1)
		errs := make([]error, len(names)+1)
		var wg sync.WaitGroup
		wg.Go(func() {
			scraped[len(names)], errs[len(names)] = own.Gather()
			label(scraped[len(names)], "supervisor")
		})
		for i, name := range names {
			wg.Go(func() {
				scraped[i], errs[i] = scrape(NewSocketClient(sockets[name]))
				label(scraped[i], name)
			})
		}
		wg.Wait()
		merged, err := merge(scraped)
		return merged, errors.Join(append(errs, err)...)
	})
}

// scrape reads the metrics of a child. A child that does not answer has none.
func scrape(c *Client) ([]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	res, err := c.get(ctx, "/metrics", asProtobuf)
	if err != nil {
		return nil, nil // it shows by its absence
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, nil // a program with another idea of this path
	}
	var out []*dto.MetricFamily
	for dec := expfmt.NewDecoder(res.Body, expfmt.ResponseFormat(res.Header)); ; {
		f := new(dto.MetricFamily)
		if err := dec.Decode(f); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return out, fmt.Errorf("admin: metrics of a child: %w", err)
		}
		out = append(out, f)
	}
}

func label(families []*dto.MetricFamily, process string) {
	name := "process"
	for _, f := range families {
		for _, m := range f.Metric {
			m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &process})
			slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
		}
	}
}

// merge joins the families of one name, and leaves out those that disagree on their type.
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
