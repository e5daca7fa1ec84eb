package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

// A variable that is set wins over code, and code wins over a variable's default.
func TestEnvironmentWinsOverCode(t *testing.T) {
	code := Config{
		Addr: ":1", Advertise: "code:1", AdminAddr: ":2", App: "code", HostName: "code",
		DrainDelay: 3, DrainRate: 4, ShutdownTimeout: 5, Adapter: adapter.Config{Key: "code", Form: adapter.Streams{}},
		SocketIO: socketio.Config{Path: "/code/", Recovery: &socketio.Recovery{MaxDisconnection: time.Hour, MaxBytes: 77},
			PingInterval: 11 * time.Second, PingTimeout: 12 * time.Second, MaxHTTPBufferSize: 13},
	}
	text := func(c Config) string {
		r := socketio.Recovery{}
		if c.SocketIO.Recovery != nil {
			r = *c.SocketIO.Recovery
		}
		return fmt.Sprintf("%s %s %s %s %s %d %d %d %s %T %s %v %d %v %v %d", c.Addr, c.Advertise, c.AdminAddr, c.App, c.HostName,
			c.DrainDelay, c.DrainRate, c.ShutdownTimeout, c.Adapter.Key, c.Adapter.Form, c.SocketIO.Path, r.MaxDisconnection, r.MaxBytes,
			c.SocketIO.PingInterval, c.SocketIO.PingTimeout, c.SocketIO.MaxHTTPBufferSize)
	}
	for _, c := range []struct {
		name    string
		environ []string
		want    string
	}{
		{"nothing set", nil, text(code)},
		{"a Redis alone", []string{"SIDEREAL_REDIS_URL=redis://h"}, text(code)},
		{"all set", []string{
			"SIDEREAL_ADDR=:9", "SIDEREAL_ADVERTISE=env:9", "SIDEREAL_ADMIN_ADDR=:8", "SIDEREAL_APP=env", "SIDEREAL_HOST_NAME=env",
			"SIDEREAL_DRAIN_DELAY=7ns", "SIDEREAL_DRAIN_RATE=6", "SIDEREAL_SHUTDOWN_TIMEOUT=5s", "SIDEREAL_ADAPTER=redis", "SIDEREAL_REDIS_URL=redis://h",
			"SIDEREAL_ADAPTER_KEY=env", "SIDEREAL_PATH=/env/", "SIDEREAL_RECOVERY=1m",
			"SIDEREAL_PING_INTERVAL=2s", "SIDEREAL_PING_TIMEOUT=1s", "SIDEREAL_MAX_MESSAGE_BYTES=5",
		}, ":9 env:9 :8 env env 7 6 5000000000 env adapter.Classic /env/ 1m0s 77 2s 1s 5"},
		{"off", []string{"SIDEREAL_ADMIN_ADDR=off", "SIDEREAL_RECOVERY=0"}, ":1 code:1  code code 3 4 5 code adapter.Streams /code/ 0s 0 11s 12s 13"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := fromEnv(config.Source{Environ: c.environ}, code)
			if err != nil || text(got) != c.want {
				t.Errorf("got  %s, %v\nwant %s", text(got), err, c.want)
			}
		})
	}
	if code.SocketIO.Recovery.MaxDisconnection != time.Hour {
		t.Error("the caller's Recovery was changed")
	}
}

// A host passes on its settings, but not the default of what code may set.
func TestHostLeavesRecoveryToCode(t *testing.T) {
	for _, c := range []struct {
		environ []string
		want    time.Duration
	}{{nil, time.Hour}, {[]string{"SIDEREAL_RECOVERY=1m"}, time.Minute}} {
		var of config.Worker
		settings, err := config.Load(&of, config.Source{Environ: c.environ})
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := fromEnv(config.Source{Environ: settings.Environ()}, Config{SocketIO: socketio.Config{Recovery: &socketio.Recovery{MaxDisconnection: time.Hour}}})
		if err != nil || cfg.SocketIO.Recovery == nil || cfg.SocketIO.Recovery.MaxDisconnection != c.want {
			t.Errorf("%v: %+v, %v", c.environ, cfg.SocketIO.Recovery, err)
		}
	}
}

// scrape returns the lines of /metrics without comments.
func scrape(m *appMetrics) string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(m.beside(), promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func TestMetricsOfTheAppStandBesideOurs(t *testing.T) {
	var log testkit.Output
	own := prometheus.NewRegistry()
	own.MustRegister(counter("sidereal_x_total", "Ours."))
	m := newAppMetrics(own, slog.New(loghandler.New(&log, slog.LevelDebug)))

	m.MustRegister(counter("orders_total", "The app's."))
	shared := counter("shared_total", "In the default registry.")
	prometheus.MustRegister(shared)
	t.Cleanup(func() { prometheus.Unregister(shared) })
	other := prometheus.NewRegistry()
	both(own, other).MustRegister(counter("sidereal_both_total", "In two places."))
	if n, err := testutil.GatherAndCount(other, "sidereal_both_total"); n != 1 || err != nil {
		t.Errorf("the registry of code has %d, %v", n, err)
	}
	for _, c := range []struct{ name, help string }{{"sidereal_x_total", "Ours."}, {"sidereal_x_total", "Another."}} {
		if err := m.Register(counter(c.name, c.help)); err == nil || !strings.Contains(err.Error(), "the worker already has this metric") {
			t.Errorf("%v: %v", c, err)
		}
	}
	if err := m.Register(counter("orders_total", "Again.")); err == nil {
		t.Error("registered twice")
	}
	text := scrape(m)
	for _, want := range []string{"\nsidereal_x_total 0\n", "\norders_total 0\n", "\nshared_total 0\n", "\nsidereal_both_total 0\n"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is there %d times in\n%s", want, strings.Count(text, want), text)
		}
	}

	many := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "many", Help: "Too many."}, []string{"n"})
	long := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "long", Help: "Too long."}, []string{"n"})
	for i := range maxAppSeries {
		many.WithLabelValues(fmt.Sprint(i)).Set(1)
	}
	long.WithLabelValues(strings.Repeat("x", maxAppLabels)).Set(1)
	m.MustRegister(many, long)
	text = scrape(m)
	if strings.Contains(text, "many{") || strings.Contains(text, "long{") || !strings.Contains(text, "\norders_total 0\n") {
		t.Errorf("%.2000s", text)
	}
	if n := strings.Count(log.String(), "they are too many"); n != 1 {
		t.Errorf("%d lines: %s", n, log.String())
	}
	m.Unregister(many)
	m.Unregister(long)

	m.MustRegister(broken{})
	if text = scrape(m); !strings.Contains(text, "\norders_total 0\n") || !strings.Contains(log.String(), "no connection to the database") {
		t.Errorf("%s\n%s", text, log.String())
	}
	hang := make(hanging)
	m.MustRegister(hang)
	for range 2 {
		if text = scrape(m); !strings.Contains(text, "\nsidereal_x_total 0\n") || strings.Contains(text, "orders_total") {
			t.Errorf("%s", text)
		}
	}
	if !strings.Contains(log.String(), "a collector hangs") {
		t.Error(log.String())
	}
	close(hang)
	testkit.Until(t, "the app's metrics are back", func() bool { return strings.Contains(scrape(m), "\norders_total 0\n") })
}

// broken is a collector that fails.
type broken struct{}

var brokenDesc = prometheus.NewDesc("broken", "It fails.", nil, nil)

func (broken) Describe(to chan<- *prometheus.Desc) { to <- brokenDesc }
func (broken) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.NewInvalidMetric(brokenDesc, errors.New("no connection to the database"))
}

// hanging is a collector that waits until it is closed.
type hanging chan struct{}

func (hanging) Describe(to chan<- *prometheus.Desc) {
	to <- prometheus.NewDesc("hanging", "It waits.", nil, nil)
}
func (h hanging) Collect(chan<- prometheus.Metric) { <-h }

func TestInfoReachesAllFunctionsOfTheApp(t *testing.T) {
	redis := testkit.MiniRedis(t)
	infos := make(chan map[string]Info, 8)
	say := func(where string, ctx context.Context) { infos <- map[string]Info{where: InfoFrom(ctx)} }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cfg := Config{Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), HostName: "here", ShutdownTimeout: 2 * time.Second}
	cfg.Redis.URL = "redis://" + redis.Addr()
	cfg.Advertise = "127.0.0.1:1"
	err := Run(ctx, cfg, func(ctx context.Context, io *socketio.Server) error {
		say("app", ctx)
		if err := InfoFrom(ctx).Redis.Client().Set(ctx, "key of the app", "1", 0).Err(); err != nil {
			t.Error(err)
		}
		io.Go(func(ctx context.Context) { say("go", ctx); stop() })
		io.OnShutdown(func(ctx context.Context) error { say("shutdown", ctx); return nil })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	close(infos)
	all := map[string]Info{}
	for m := range infos {
		maps.Copy(all, m)
	}
	for where, info := range all {
		if info.ID == "" || info.Host != "here" || info.Redis == nil || info.Metrics == nil {
			t.Errorf("%s: %+v", where, info)
		}
	}
	if len(all) != 3 || !redis.Exists("key of the app") {
		t.Errorf("%v", all)
	}
}

func TestInfoReachesHandlersAndPages(t *testing.T) {
	var used, connected, page string
	r := start(t, func(_ context.Context, io *socketio.Server) error {
		io.Use(func(ctx context.Context, s *socketio.Socket) error { used = InfoFrom(ctx).ID; return nil })
		io.OnConnect(func(s *socketio.Socket) { connected = InfoFrom(s.Context()).ID })
		io.On("id", func(ctx context.Context) string { return InfoFrom(ctx).ID })
		io.Handle("/id", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { page = InfoFrom(r.Context()).ID }))
		return nil
	})
	id := r.awaitReady()
	c, err := client.New(client.Config{URL: "http://" + r.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := c.Of("/")
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	handled, err := client.Call[string](t.Context(), s, "id")
	if err != nil {
		t.Fatal(err)
	}
	get(t, dial(t, r.Addr()), "/id")
	if all := []string{used, connected, handled, page}; !slices.Equal(all, []string{id, id, id, id}) {
		t.Errorf("middleware, OnConnect, handler and page are told %q, want %q", all, id)
	}
}

func TestRunReturnsThoughTheAppHangs(t *testing.T) {
	for _, c := range []struct {
		name, want string
		app        func(hang chan struct{}, stop func()) App
	}{
		{"setup", "app: its setup doesn't return though its context has ended", func(hang chan struct{}, stop func()) App {
			return func(context.Context, *socketio.Server) error { stop(); <-hang; return nil }
		}},
		{"Go", "functions of Go still run", func(hang chan struct{}, stop func()) App {
			return func(_ context.Context, io *socketio.Server) error {
				io.Go(func(context.Context) { stop(); <-hang })
				return nil
			}
		}},
		{"OnShutdown", "OnShutdown still runs", func(hang chan struct{}, stop func()) App {
			return func(_ context.Context, io *socketio.Server) error {
				io.OnShutdown(func(context.Context) error { <-hang; return nil })
				io.Go(func(context.Context) { stop() })
				return nil
			}
		}},
		{"a panic", "app: panic: no database", func(chan struct{}, func()) App {
			return func(context.Context, *socketio.Server) error { panic("no database") }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			hang := make(chan struct{})
			defer close(hang)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var log testkit.Output
			cfg := Config{Addr: "127.0.0.1:0", Log: slog.New(loghandler.New(&log, slog.LevelInfo)), ShutdownTimeout: 200 * time.Millisecond}
			if err := Run(ctx, cfg, c.app(hang, stop)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Run returned %v: %s", err, log.String())
			}
		})
	}
}
