package socketio_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

// TestEventLatency: each event with a handler is timed, in the buckets that samples have, and a trace
// leaves its exemplar. What Trace returns can't end the event.
func TestEventLatency(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	counts := inspect.NewCounts(reg)
	exemplars := []prometheus.Labels{{"trace_id": "abc"}, nil, {"trace_id": strings.Repeat("x", 200)}}
	trace := &socketio.Trace{
		Handle: func(ctx context.Context, _ *socketio.Socket, _ string, _ socketio.Args) (context.Context, func(error)) {
			return ctx, nil
		},
		Exemplar: func(context.Context) prometheus.Labels {
			first := exemplars[0]
			exemplars = exemplars[1:]
			return first
		},
	}
	app := func(io *socketio.Server) {
		io.On("slow", func() string { time.Sleep(500 * time.Millisecond); return "ok" })
		io.On("quick", func() (string, error) { return "", errors.New("no") })
	}
	serve(t, socketio.Config{Trace: trace, Metrics: counts}, app, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		p.Send(`20["slow"]`)
		p.Want(`30["ok"]`)
		p.Send(`2["unknown"]`)
		for range 2 {
			p.Send(`21["quick"]`)
			p.Want(`31[{"error":"internal error"}]`)
		}
		synctest.Wait()
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "sidereal_socketio_event_seconds" })
		got := families[i].Metric[0].GetHistogram()
		if got.GetSampleCount() != 3 || got.GetSampleSum() < .5 || got.GetSampleSum() > .6 || len(got.PositiveSpan) == 0 {
			t.Errorf("%v", got)
		}
		var found []string
		for _, b := range got.Bucket {
			if e := b.GetExemplar(); e != nil {
				found = append(found, e.Label[0].GetValue())
			}
		}
		if !slices.Equal(found, []string{"abc"}) {
			t.Errorf("exemplars %q", found)
		}
		sample, err := counts.Sample(inspect.Process{})
		if err != nil {
			t.Fatal(err)
		}
		at := slices.Index(inspect.LatencyBounds[:], time.Second)
		if sample.EventsTimed != 3 || sample.Latency[at] != 1 {
			t.Errorf("%d events, %v", sample.EventsTimed, sample.Latency)
		}
		for i, bound := range inspect.LatencyBounds {
			if got.Bucket[i].GetUpperBound() != bound.Seconds() {
				t.Errorf("bucket %d: %v, want %v", i, got.Bucket[i].GetUpperBound(), bound)
			}
		}
	})
}
