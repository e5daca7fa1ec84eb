package node

import (
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// scraped returns what a scrape of the host shows, as text by series.
func scraped(t *testing.T, h *Host) map[string]string {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(usageMetrics{h.Usages})
	families, err := h.Gatherer(reg).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	series := map[string]string{}
	for line := range strings.Lines(text.String()) {
		if i := strings.LastIndexByte(line, ' '); line[0] != '#' {
			if _, ok := series[line[:i]]; ok {
				t.Errorf("%s is there twice", line[:i])
			}
			series[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return series
}

// TestNodeMetrics: a process reports how it does, and what the app counts in prom-client, in each way
// to run it and each version of Node.
func TestNodeMetrics(t *testing.T) {
	modules(t)
	cases := map[string]how{
		"plain":         {},
		"registries":    {env: []string{"REGISTRY=own"}},
		"forked":        {forked: true, mode: ipc.JSON},
		"Socket.IO 3":   {env: []string{"SOCKETIO=socket.io-3"}},
		"Socket.IO 4.0": {env: []string{"SOCKETIO=socket.io-4.0"}},
	}
	for _, version := range []string{"18", "22", "24"} {
		cases["Node "+version] = how{node: nodeOf(t, version)}
	}
	for name, h := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			port := testkit.FreePort(t)
			h.script, h.usage, h.inject = "testdata/measured.js", true, !h.forked
			h.env = append(h.env, "PORT="+strconv.Itoa(port))
			url := "http://127.0.0.1:" + strconv.Itoa(port)
			if h.forked {
				w.node(h)
				testkit.Until(t, "the app to listen", func() bool {
					conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
					if err == nil {
						conn.Close()
					}
					return err == nil
				})
			} else {
				w.workers(1, h)
				url = w.router("app", 1)
			}
			c, err := client.New(client.Config{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			if err := c.Of("/").Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Of("/").EmitWithAck(t.Context(), "hello"); err != nil {
				t.Fatal(err)
			}
			var got map[string]string
			testkit.Until(t, "the report", func() bool {
				got = scraped(t, w.Host)
				return got[`sidereal_node_events_total{direction="out",process="worker-1"}`] == "3" && got[`shop_seconds_count{process="worker-1"}`] != "" &&
					(h.forked || got[`sidereal_node_sessions{process="worker-1"}`] == "1")
			})
			want := map[string]string{
				`sidereal_node_events_total{direction="in",process="worker-1"}`:   "1",
				`sidereal_node_sockets{process="worker-1"}`:                       "1",
				"shop_orders_total{kind=\"té\\n\\\"\",process=\"worker-1\"}":      "3",
				`shop_order_size_bucket{kind="tea",process="worker-1",le="1"}`:    "1",
				`shop_order_size_bucket{kind="tea",process="worker-1",le="5"}`:    "2",
				`shop_order_size_bucket{kind="tea",process="worker-1",le="+Inf"}`: "3",
				`shop_order_size_sum{kind="tea",process="worker-1"}`:              "10.5",
				`shop_seconds{process="worker-1",quantile="0.5"}`:                 "2",
				`shop_seconds_count{process="worker-1"}`:                          "1",
				`sidereal_redis_up{process="worker-1"}`:                           "", // it isn't the app's
			}
			if strings.Contains(strings.Join(h.env, " "), "REGISTRY") {
				want[`shop_open{process="worker-1"}`] = "1"
			}
			for series, value := range want {
				if got[series] != value {
					t.Errorf("%s is %q, want %q", series, got[series], value)
				}
			}
			for _, series := range []string{
				`sidereal_node_heap_bytes{kind="used",process="worker-1"}`, `sidereal_node_memory_bytes{process="worker-1"}`,
				`sidereal_node_cpu_seconds_total{process="worker-1"}`, `process_resident_memory_bytes{process="worker-1"}`,
				`nodejs_heap_size_used_bytes{process="worker-1"}`,
			} {
				if v, err := strconv.ParseFloat(got[series], 64); err != nil || v <= 0 {
					t.Errorf("%s is %q", series, got[series])
				}
			}
			u := w.Usages()[0]
			if u.Name != "worker-1" || u.Heap <= 0 || u.Memory < u.Heap || u.CPU <= 0 || u.GC < 0 || u.LoopDelay < 0 || u.Sent != 3 || u.Sockets != 1 || u.PID == 0 {
				t.Errorf("usage %+v", u)
			}
			if !h.forked && (u.Worker == "" || u.Sessions != 1) {
				t.Errorf("worker %q, %d sessions", u.Worker, u.Sessions)
			}
		})
	}
}

// TestBrokenPromClient: an app whose metrics fail or hang costs the scrape no more than its own.
func TestBrokenPromClient(t *testing.T) {
	for fail, outcome := range map[string]string{"throw": promFailed, "hang": promTimeout} {
		t.Run(fail, func(t *testing.T) {
			w := newWorld(t)
			env := "PORT=" + strconv.Itoa(testkit.FreePort(t))
			w.workers(1, how{script: "testdata/measured.js", usage: true, env: []string{env, "FAIL=" + fail}})
			w.workers(1, how{script: "testdata/measured.js", usage: true, env: []string{env}})
			var got map[string]string
			testkit.Until(t, "the outcome", func() bool {
				got = scraped(t, w.Host)
				return testutil.ToFloat64(w.metrics.scrapes.WithLabelValues(outcome)) > 0 && got[`shop_seconds_count{process="worker-2"}`] == "1"
			})
			if got[`shop_seconds_count{process="worker-1"}`] != "" {
				t.Error("metrics of the broken one")
			}
		})
	}
}

// reports says that the process has prom-client.
func (i *impostor) reports() {
	i.t.Helper()
	i.say(`{"cmd":"NODE_SIDEREAL","act":"usage","prom":true,"heap":1}`)
	i.heard()
}

// answers answers the host's next request, whose number it puts into the format.
func (i *impostor) answers(format string) {
	i.t.Helper()
	for {
		line, err := i.r.ReadString('\n')
		if err != nil {
			i.t.Error(err)
			return
		}
		if _, number, ok := strings.Cut(line, `"request":`); ok {
			i.say(format, strings.TrimRight(number, "}\n"))
			return
		}
	}
}

// TestHostileMetrics: whatever a process answers, a scrape stays small, can be written, and has what
// the host itself measures.
func TestHostileMetrics(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	many := make([]string, 60_000)
	for i := range many {
		many[i] = fmt.Sprintf(`{"value":1,"labels":{"user":"%d"}}`, i)
	}
	metric := func(name, kind, values string) string {
		return `{"type":"prom-client:getMetricsRes","requestId":%s,"metrics":[[{"name":"` + name + `","type":"` + kind + `","help":"h","values":[` + values + `]}]]}`
	}
	for name, c := range map[string]struct {
		answer, outcome string
		want            string // a series
	}{
		"no list":             {`{"type":"prom-client:getMetricsRes","requestId":%s,"metrics":7}`, promFailed, ""},
		"no registry":         {`{"type":"prom-client:getMetricsRes","requestId":%s,"metrics":[7,null,"x"]}`, promMalformed, ""},
		"no metric":           {`{"type":"prom-client:getMetricsRes","requestId":%s,"metrics":[[7,null,[]]]}`, promMalformed, ""},
		"an error":            {`{"type":"prom-client:getMetricsRes","requestId":%s,"error":"no"}`, promFailed, ""},
		"a bad name":          {metric("a b", "gauge", `{"value":1}`), promMalformed, ""},
		"a long name":         {metric(long, "gauge", `{"value":1}`), promMalformed, ""},
		"ours":                {metric("sidereal_node_sockets", "gauge", `{"value":1}`), promMalformed, ""},
		"an unknown type":     {metric("a", "tally", `{"value":1}`), promMalformed, ""},
		"a bad label":         {metric("a", "gauge", `{"value":1,"labels":{"a-b":"c"}},{"value":2}`), promMalformed, `a{process="impostor"}`},
		"a reserved label":    {metric("a", "gauge", `{"value":1,"labels":{"__name__":"c"}}`), promMalformed, ""},
		"another's name":      {metric("a", "gauge", `{"value":1,"labels":{"process":"router"}}`), promAnswered, `a{process="impostor"}`},
		"a long label":        {metric("a", "gauge", `{"value":1,"labels":{"b":"`+long+`"}}`), promAnswered, `a{b="` + long[:maxPromText] + `",process="impostor"}`},
		"no value":            {metric("a", "gauge", `{"value":null}`), promAnswered, `a{process="impostor"}`},
		"the same again":      {metric("a", "counter", `{"value":1},{"value":2}`), promAnswered, `a{process="impostor"}`},
		"buckets in a heap":   {metric("a", "histogram", `{"value":1,"labels":{"le":"+Inf"},"metricName":"a_bucket"},{"value":1,"labels":{"le":1},"metricName":"a_bucket"},{"value":1,"labels":{"le":"1"},"metricName":"a_bucket"},{"value":1,"metricName":"a_count"}`), promAnswered, `a_count{process="impostor"}`},
		"buckets alone":       {metric("a", "histogram", `{"value":1,"labels":{"le":"1"},"metricName":"a_bucket"}`), promAnswered, ""},
		"a negative count":    {metric("a", "histogram", `{"value":-5,"metricName":"a_count"}`), promAnswered, `a_count{process="impostor"}`},
		"too many series":     {metric("a", "gauge", strings.Join(many, ",")), promOversized, ""},
		"a huge answer":       {metric("a", "gauge", `{"value":1,"labels":{"b":"`+strings.Repeat("x", maxPromFrame)+`"}}`), promOversized, ""},
		"another request":     {`{"type":"prom-client:getMetricsRes","requestId":1%s,"metrics":[]}`, promTimeout, ""},
		"a type that is ours": {metric("go_goroutines", "counter", `{"value":1}`), promMalformed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := alone(t)
			if h.promPatience = patience; c.outcome == promTimeout {
				h.promPatience = time.Millisecond
			}
			i := newImpostor(t, h, 1, ipc.JSON)
			i.reports()
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				i.answers(c.answer)
			}()
			reg := prometheus.NewRegistry()
			reg.MustRegister(usageMetrics{h.Usages}, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "go_goroutines"}, func() float64 { return 1 }))
			families, err := h.Gatherer(reg).Gather()
			if err != nil {
				t.Fatal(err)
			}
			<-answered
			if got := outcomes(h); got != c.outcome {
				t.Errorf("outcome %q, want %q", got, c.outcome)
			}
			size, series := 0, map[string]bool{}
			for _, f := range families {
				var text strings.Builder
				if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
					t.Errorf("%s can't be written: %v", f.GetName(), err)
				}
				for line := range strings.Lines(text.String()) {
					if i := strings.LastIndexByte(line, ' '); line[0] != '#' {
						if series[line[:i]] {
							t.Errorf("%s is there twice", line[:i])
						}
						series[line[:i]] = true
					}
				}
				size += proto.Size(f)
			}
			if size > maxPromBytes+10_000 {
				t.Errorf("the scrape has %d bytes", size)
			}
			if !series["go_goroutines"] || !series[`sidereal_node_heap_bytes{kind="used",process="impostor"}`] {
				t.Error("the host's own metrics are gone")
			}
			if c.want != "" && !series[c.want] {
				t.Errorf("no %s", c.want)
			}
		})
	}
}

// outcomes returns the outcomes that were counted.
func outcomes(h *Host) string {
	var list []string
	for _, outcome := range promOutcomes {
		if testutil.ToFloat64(h.metrics.scrapes.WithLabelValues(outcome)) > 0 {
			list = append(list, outcome)
		}
	}
	return strings.Join(list, " ")
}

// TestSilentProcessIsAskedOnce: a process that doesn't answer gets no further requests for a while,
// and its late answer isn't taken for that to another one.
func TestSilentProcessIsAskedOnce(t *testing.T) {
	h := alone(t)
	i := newImpostor(t, h, 1, ipc.JSON)
	i.reports()
	c := h.child("1")
	now := time.Now()
	if c.scrape.ask(c.ch, now) == nil || c.scrape.ask(c.ch, now.Add(promRest-1)) != nil {
		t.Error("asked twice")
	}
	second := c.scrape.ask(c.ch, now.Add(promRest))
	if second == nil {
		t.Fatal("not asked again")
	}
	i.say(`{"type":"prom-client:getMetricsRes","requestId":1,"metrics":[]}`)
	i.heard()
	if len(second) > 0 {
		t.Error("a late answer was taken")
	}
	i.say(`{"type":"prom-client:getMetricsRes","requestId":2,"metrics":[]}`)
	i.heard()
	if len(second) == 0 {
		t.Error("the answer was not taken")
	}
}

// TestHostileReports: numbers of a report that can't be are zero, and counts never go down.
func TestHostileReports(t *testing.T) {
	h := alone(t)
	i := newImpostor(t, h, 1, ipc.JSON)
	i.say(`{"cmd":"NODE_SIDEREAL","act":"usage","heap":1e300,"received":7,"sent":1e18,"cpu":1e300,"minor":2,"busy":9,"sockets":-3,"half":"x","most":null,"rss":{}}`)
	i.say(`{"cmd":"NODE_SIDEREAL","act":"usage","received":5,"minor":1}`)
	i.heard()
	u := h.Usages()[0]
	if u.Received != 7 || u.Sent != 1<<53 || u.CPU != math.MaxInt32*time.Second || u.GC != 2*time.Second || u.Sockets != 0 || u.Heap != 0 || u.LoopDelay != 0 {
		t.Errorf("usage %+v", u)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(usageMetrics{h.Usages})
	if _, err := reg.Gather(); err != nil {
		t.Error(err)
	}
	// A successor of the same name replaces it.
	j := newImpostor(t, h, 2, ipc.JSON)
	j.say(`{"cmd":"NODE_SIDEREAL","act":"usage","received":1}`)
	j.heard()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "sidereal_node_events_total" && (len(f.Metric) != 2 || eventsIn(f) != 1) {
			t.Errorf("%v", f)
		}
	}
}

func eventsIn(f *dto.MetricFamily) (n float64) {
	for _, m := range f.Metric {
		for _, l := range m.Label {
			if l.GetValue() == "in" {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
