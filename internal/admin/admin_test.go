package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// serve runs a Server on l for the length of the test.
func serve(t *testing.T, cfg Config, l net.Listener) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- New(cfg).Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestReadyzSaysWhyNot(t *testing.T) {
	var ready error = errors.New("no worker is ready")
	l := listen(t)
	serve(t, Config{Ready: func(context.Context) error { return ready }}, l)
	base, c := "http://"+l.Addr().String(), NewClient(l.Addr().String())
	if code, body := get(t, base+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %q", code, body)
	}
	if code, body := get(t, base+"/readyz"); code != 503 || body != "no worker is ready\n" {
		t.Errorf("readyz: %d %q", code, body)
	}
	if err := c.Ready(t.Context()); err == nil || err.Error() != "no worker is ready" {
		t.Errorf("client: %v", err)
	}
	ready = nil
	if code, body := get(t, base+"/readyz"); code != 200 || body != "ready\n" {
		t.Errorf("readyz: %d %q", code, body)
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Errorf("client: %v", err)
	}
}

func TestStatusAndPage(t *testing.T) {
	want := Status{Role: "up", Host: "a<b", Started: time.Unix(1, 0).UTC(), Redis: "embedded",
		Processes: []Process{{Name: "worker-1", State: "ready", PID: 7, Worker: "aB3_"}},
		Workers:   []Worker{{ID: "aB3_", Host: "h", State: "ready", Clients: 3}}}
	l := listen(t)
	serve(t, Config{Status: func(context.Context) Status { return want }}, l)
	got, err := NewClient(l.Addr().String()).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want.Ready, want.PID = true, os.Getpid()
	if g, w := asJSON(t, got), asJSON(t, want); g != w {
		t.Errorf("got %s\nwant %s", g, w)
	}
	code, page := get(t, "http://"+l.Addr().String()+"/")
	if code != 200 || !strings.Contains(page, "a&lt;b") || !strings.Contains(page, "worker-1") || !strings.Contains(page, "aB3_") {
		t.Errorf("%d %s", code, page)
	}
	if code, _ := get(t, "http://"+l.Addr().String()+"/other"); code != 404 {
		t.Errorf("other path: %d", code)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestListenMovesOnlyWhenAllowed(t *testing.T) {
	taken := listen(t)
	defer taken.Close()
	if l, err := Listen(t.Context(), taken.Addr().String(), false); err == nil {
		l.Close()
		t.Error("listened on a port that is taken")
	}
	l, err := Listen(t.Context(), taken.Addr().String(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Addr().String() == taken.Addr().String() {
		t.Error("the same port twice")
	}
}

// published opens the admin socket of a child that is ready.
func published(t *testing.T, dir, child string) *SocketListener {
	t.Helper()
	l, err := ListenSocket(dir, child)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Publish(); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuccessorTakesTheNameOnceItIsReady(t *testing.T) {
	dir := t.TempDir()
	answering := func(want string) {
		t.Helper()
		if err := NewSocketClient(Socket(dir, "worker-1")).Ready(t.Context()); err == nil || err.Error() != want {
			t.Errorf("%q answered %v", want, err)
		}
	}
	unready := func(why string) Config {
		return Config{Ready: func(context.Context) error { return errors.New(why) }}
	}
	old := published(t, dir, "worker-1")
	serve(t, unready("old"), old)
	failed, err := ListenSocket(dir, "worker-1")
	if err != nil {
		t.Fatal(err)
	}
	answering("old")
	failed.Close() // it never got ready
	answering("old")
	next := published(t, dir, "worker-1")
	serve(t, unready("next"), next)
	answering("next")
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestEndedProcessLeavesItsSuccessorTheName(t *testing.T) {
	dir := t.TempDir()
	old := published(t, dir, "worker-1")
	next := published(t, dir, "worker-1")
	defer next.Close()
	old.Close()
	if _, err := os.Stat(Socket(dir, "worker-1")); err != nil {
		t.Errorf("the old one took the new one's socket with it: %v", err)
	}
}

func TestReadyOfAHangingProcessIsBounded(t *testing.T) {
	dir := t.TempDir()
	l := published(t, dir, "router") // nobody accepts
	defer l.Close()
	if err := NewSocketClient(Socket(dir, "router")).Ready(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// gauge makes a registry with one gauge.
func gauge(name, labelName, labelValue string, value float64) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "A test's."}, []string{labelName})
	g.WithLabelValues(labelValue).Set(value)
	reg.MustRegister(g)
	return reg
}

func TestAggregateLabelsEachProcess(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"worker-1", "worker-2"} {
		serve(t, Config{Gatherer: gauge("sessions", "transport", "polling", float64(i+1))}, published(t, dir, name))
	}
	all := Aggregate(gauge("restarts", "name", "x", 9), dir, func() []string { return []string{"worker-1", "worker-2", "gone"} })
	w := httptest.NewRecorder()
	promhttp.HandlerFor(all, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	want := `# HELP restarts A test's.
# TYPE restarts gauge
restarts{name="x",process="supervisor"} 9
# HELP sessions A test's.
# TYPE sessions gauge
sessions{process="worker-1",transport="polling"} 1
sessions{process="worker-2",transport="polling"} 2
`
	if w.Body.String() != want {
		t.Errorf("got\n%s\nwant\n%s", w.Body.String(), want)
	}
}

func TestAggregateReportsDisagreement(t *testing.T) {
	dir := t.TempDir()
	counter := prometheus.NewRegistry()
	counter.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "x", Help: "A test's."}))
	serve(t, Config{Gatherer: counter}, published(t, dir, "worker-1"))
	all := Aggregate(gauge("x", "a", "b", 1), dir, func() []string { return []string{"worker-1"} })
	families, err := all.Gather()
	if err == nil || len(families) != 1 {
		t.Errorf("%d families, error %v", len(families), err)
	}
}
