package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

func TestMain(m *testing.M) {
	beApp()
	testkit.Main(m)
}

// running is a worker under test with the supervisor's end of its line.
type running struct {
	*worker
	t     *testing.T
	stop  context.CancelFunc
	done  chan error
	lines *bufio.Scanner
}

// settings is the Config of an environment.
func settings(t *testing.T, environ ...string) Config {
	t.Helper()
	environ = append([]string{"SIDEREAL_ADDR=127.0.0.1:0", "SIDEREAL_HOST_NAME=here", "SIDEREAL_SHUTDOWN_TIMEOUT=2s"}, environ...)
	cfg, err := fromEnv(config.Source{Environ: environ}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Log = slog.New(loghandler.New(t.Output(), slog.LevelDebug))
	return cfg
}

// start runs a worker until the test ends.
func start(t *testing.T, app App, environ ...string) *running {
	t.Helper()
	return startWith(t, func(*Config) {}, app, environ...)
}

// startWith is start with a configuration that edit has changed.
func startWith(t *testing.T, edit func(*Config), app App, environ ...string) *running {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	supervisor := os.NewFile(uintptr(fds[0]), "line")
	line, err := net.FileConn(supervisor)
	if err != nil {
		t.Fatal(err)
	}
	supervisor.Close()
	cfg := settings(t, append(environ, fmt.Sprintf("SIDEREAL_SUPERVISOR_FD=%d", fds[1]))...)
	edit(&cfg)
	w, err := newWorker(cfg, app)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{worker: w, t: t, stop: cancel, done: make(chan error, 1), lines: bufio.NewScanner(line)}
	go func() { r.done <- w.run(ctx) }()
	t.Cleanup(func() {
		r.end()
		line.Close()
	})
	return r
}

// end stops the worker and returns what Run did.
func (r *running) end() error {
	r.stop()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(20 * time.Second):
		r.t.Error("Run does not return")
		return nil
	}
}

// heard is the next line to the supervisor that is not a beat.
func (r *running) heard() string {
	for r.lines.Scan() {
		if line := r.lines.Text(); !strings.HasPrefix(line, lifeline.Alive+"=") {
			return line
		}
	}
	return "(nothing)"
}

// awaitReady returns the id that the worker reports.
func (r *running) awaitReady() string {
	r.t.Helper()
	id, ok := strings.CutPrefix(r.heard(), "worker=")
	if ready := r.heard(); !ok || ready != "ready=1" || id != r.ID() || r.Ready(r.t.Context()) != nil {
		r.t.Fatalf("reported worker %q, %s; the id is %q", id, ready, r.ID())
	}
	return id
}

// hello is an app with a page.
func hello(_ context.Context, io *socketio.Server) error {
	io.Handle("GET /hello", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s, secure %v, %d of our headers", r.RemoteAddr, r.TLS != nil, len(r.Header["Sidereal-Client"]))
	}))
	return nil
}

// get makes a request on a connection of its own.
func get(t *testing.T, conn net.Conn, target string, headers ...string) (int, string) {
	t.Helper()
	code, body, err := tryGet(conn, target, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return code, body
}

func tryGet(conn net.Conn, target string, headers ...string) (int, string, error) {
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n", target)
	for _, h := range headers {
		fmt.Fprint(conn, h+"\r\n")
	}
	fmt.Fprint(conn, "\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

const handshake = "/socket.io/?EIO=4&transport=polling"

// open makes a session and returns its sid.
func open(t *testing.T, conn net.Conn, headers ...string) string {
	t.Helper()
	code, body := get(t, conn, handshake, headers...)
	var packet struct{ SID string }
	if code != 200 || json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &packet) != nil || packet.SID == "" {
		t.Fatalf("handshake: %d %s", code, body)
	}
	return packet.SID
}

// record is what Redis has of a worker; nil: nothing.
func record(t *testing.T, m interface{ Get(string) (string, error) }, id string) *directory.Worker {
	t.Helper()
	text, err := m.Get("{sidereal:default}:worker:" + id)
	if err != nil {
		return nil
	}
	w := new(directory.Worker)
	if err := json.Unmarshal([]byte(text), w); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAloneServesFromMemory(t *testing.T) {
	var info Info
	r := start(t, func(ctx context.Context, io *socketio.Server) error {
		info = InfoFrom(ctx)
		return hello(ctx, io)
	})
	id := r.awaitReady()
	if want := (Info{ID: id, Slot: 1, Host: "here", Metrics: r.appMetrics}); info != want {
		t.Errorf("the app is told %+v, want %+v", info, want)
	}
	if sid := open(t, dial(t, r.Addr())); len(sid) != 20 || sid[:4] != id {
		t.Errorf("sid %s of worker %s", sid, id)
	}
	conn := dial(t, r.Addr())
	code, body := get(t, conn, "/hello", "Sidereal-Client: 203.0.113.5:1", "Sidereal-Proto: https", "Sidereal-Worker: zzzz")
	if want := "hello " + conn.LocalAddr().String() + ", secure false, 0 of our headers"; code != 200 || body != want {
		t.Errorf("got %d %q, want %q", code, body, want)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

func TestSupervisedServesWhatRoutersPass(t *testing.T) {
	redis, dir := testkit.MiniRedis(t), shortDir(t)
	r := start(t, hello, "SIDEREAL_REDIS_URL=redis://"+redis.Addr(), "SIDEREAL_RUNTIME_DIR="+dir,
		"SIDEREAL_WORKER_ID=3", "SIDEREAL_ADVERTISE=10.0.0.1:80")
	id := r.awaitReady()
	if r.Addr() != "" {
		t.Errorf("it has a port: %s", r.Addr())
	}
	sender, err := handoff.Dial(t.Context(), filepath.Join(dir, id+".sock"), id)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	conn, err := sender.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	code, body := get(t, conn, "/hello", "Sidereal-Client: 203.0.113.5:1", "Sidereal-Proto: https", "Sidereal-Worker: "+id)
	if code != 200 || body != "hello 203.0.113.5:1, secure true, 0 of our headers" {
		t.Errorf("got %d %q", code, body)
	}
	other, err := sender.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if code, _ := get(t, other, "/hello", "Sidereal-Worker: zzzz"); code != http.StatusMisdirectedRequest {
		t.Errorf("for another worker: %d", code)
	}
	if err := admin.NewSocketClient(admin.Socket(dir, "worker-3")).Ready(t.Context()); err != nil {
		t.Errorf("admin: %v", err)
	}
	awaitRecord(t, redis, id, func(w *directory.Worker) bool { return w != nil && w.State == directory.StateReady })
	got := record(t, redis, id)
	if got.Slot != 3 || got.Host != "here" || got.PID != os.Getpid() || got.Addr != "10.0.0.1:80" || !got.Tags ||
		got.Handoff != filepath.Join(dir, id+".sock") || got.Adapter != "redis" || got.Path != "/socket.io/" {
		t.Errorf("record %+v", got)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if r.heard() != "draining=1" {
		t.Error("the supervisor was not told of the drain")
	}
	if record(t, redis, id) != nil {
		t.Error("the record outlived the worker")
	}
}

func TestBesideARouterTheKeyIsAskedFor(t *testing.T) {
	redis := testkit.MiniRedis(t)
	r := start(t, hello, "SIDEREAL_REDIS_URL=redis://"+redis.Addr())
	id := r.awaitReady()
	awaitRecord(t, redis, id, func(w *directory.Worker) bool { return w != nil && w.State == directory.StateReady })
	if got := record(t, redis, id); got.Addr != r.Addr() || got.Handoff != "" {
		t.Errorf("record %+v", got)
	}
	secret, err := redis.Get("{sidereal:default}:secret")
	if err != nil {
		t.Fatal(err)
	}
	const client = "Sidereal-Client: 203.0.113.5:1"
	router := dial(t, r.Addr())
	for _, headers := range [][]string{{client, "Sidereal-Key: " + secret}, {client}} { // shown once, believed from then on
		if code, body := get(t, router, "/hello", headers...); code != 200 || !strings.HasPrefix(body, "hello 203.0.113.5:1,") {
			t.Errorf("router: %d %s", code, body)
		}
	}
	stranger := dial(t, r.Addr())
	if code, body := get(t, stranger, "/hello", client, "Sidereal-Key: guess"); code != 200 || strings.Contains(body, "203.0.113.5") {
		t.Errorf("stranger: %d %s", code, body)
	}
}

func TestDrainMovesClientsAway(t *testing.T) {
	redis := testkit.MiniRedis(t)
	r := start(t, hello, "SIDEREAL_REDIS_URL=redis://"+redis.Addr())
	id := r.awaitReady()
	conn := dial(t, r.Addr())
	sid := open(t, conn)
	polled := make(chan string, 1)
	go func() {
		_, body, err := tryGet(conn, handshake+"&sid="+sid)
		if err != nil {
			body = err.Error()
		}
		polled <- body
	}()
	r.stop()
	// As in the reference, a poll that comes after the close gets a noop before the close packet.
	if body := testkit.Receive(t, "the poll", polled); body != "1" && body != "6\x1e1" {
		t.Errorf("the poll got %q, want a close packet", body)
	}
	late, err := http.NewRequest("POST", "http://"+r.Addr()+handshake+"&sid="+sid, strings.NewReader("41"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(late)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if string(body) != "ok" {
		t.Errorf("a late post got %d %s", res.StatusCode, body)
	}
	if code, _ := get(t, dial(t, r.Addr()), handshake); code != http.StatusServiceUnavailable {
		t.Errorf("a new session while draining: %d", code)
	}
	if got := record(t, redis, id); got == nil || got.State != directory.StateDraining {
		t.Errorf("record %+v", got)
	}
	if err := r.Ready(t.Context()); err == nil || err.Error() != "draining" {
		t.Errorf("ready: %v", err)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

func TestWrongRedisPasswordIsTheOperatorsToMend(t *testing.T) {
	redis := testkit.MiniRedis(t)
	redis.RequireAuth("right")
	w, err := newWorker(settings(t, "SIDEREAL_REDIS_URL=redis://:wrong@"+redis.Addr()), hello)
	if err != nil {
		t.Fatal(err)
	}
	err = inVariables(w.run(t.Context()))
	if config.ExitCode(err) != config.ExitUsage || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "SIDEREAL_REDIS_URL") {
		t.Errorf("got %v", err)
	}
}

func TestRedisThatIsAwayIsWaitedFor(t *testing.T) {
	redis := testkit.MiniRedis(t)
	url := "SIDEREAL_REDIS_URL=redis://" + redis.Addr()
	redis.Close()
	called := make(chan struct{})
	r := start(t, func(context.Context, *socketio.Server) error { close(called); return nil }, url)
	select {
	case <-called:
		t.Error("the app was set up without Redis")
	default:
	}
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	testkit.Closed(t, "the app's setup", called)
	r.awaitReady()
}

func TestStopWhileWaitingForRedis(t *testing.T) {
	redis := testkit.MiniRedis(t)
	url := "SIDEREAL_REDIS_URL=redis://" + redis.Addr()
	redis.Close()
	r := start(t, hello, url)
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

func TestAppErrorEndsTheStart(t *testing.T) {
	oops := errors.New("oops")
	w, err := newWorker(settings(t), func(context.Context, *socketio.Server) error { return oops })
	if err != nil {
		t.Fatal(err)
	}
	if err := w.run(t.Context()); !errors.Is(err, oops) {
		t.Errorf("got %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w, err := newWorker(settings(t, "SIDEREAL_ADDR="+l.Addr().String()), hello)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("SIDEREAL_ADDR=%q is in use by another process", l.Addr())
	if err := inVariables(w.run(t.Context())); err == nil || err.Error() != want || config.ExitCode(err) != config.ExitUsage {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAdaptersThatCannotBe(t *testing.T) {
	for _, env := range [][]string{
		{"SIDEREAL_ADAPTER=redis"},
		{"SIDEREAL_ADAPTER=redis-sharded"},
	} {
		if _, err := newWorker(settings(t, env...), hello); config.ExitCode(inVariables(err)) != config.ExitUsage {
			t.Errorf("%q: got %v", env, err)
		}
	}
}

func TestRecordsSayWhatWorkersMustAgreeOn(t *testing.T) {
	for want, env := range map[directory.Worker][]string{
		{Adapter: "memory"}:                                                          {"SIDEREAL_ADAPTER=memory"},
		{Adapter: "redis", AdapterKey: "socket.io"}:                                  nil,
		{Adapter: "redis", AdapterKey: "rooms"}:                                      {"SIDEREAL_ADAPTER=redis", "SIDEREAL_ADAPTER_KEY=rooms"},
		{Adapter: "redis-streams", AdapterKey: "r", Stream: "r", Streams: 1}:         {"SIDEREAL_ADAPTER=redis-streams", "SIDEREAL_ADAPTER_KEY=r"},
		{Adapter: "redis-streams", AdapterKey: "socket.io", Stream: "s", Streams: 3}: {"SIDEREAL_ADAPTER=redis-streams", "SIDEREAL_STREAM_NAME=s", "SIDEREAL_STREAM_COUNT=3"},
		{Adapter: "redis-sharded", AdapterKey: "socket.io", AdapterMode: "dynamic"}:  {"SIDEREAL_ADAPTER=redis-sharded"},
		{Adapter: "redis-sharded", AdapterKey: "socket.io", AdapterMode: "static"}:   {"SIDEREAL_ADAPTER=redis-sharded", "SIDEREAL_ADAPTER_MODE=static"},
	} {
		w, err := newWorker(settings(t, append(env, "SIDEREAL_REDIS_URL=redis://127.0.0.1:1")...), hello)
		if err != nil {
			t.Fatal(err)
		}
		want.Path = "/socket.io/"
		var got directory.Worker
		if w.describe(&got); got != want {
			t.Errorf("%q: %+v, want %+v", env, got, want)
		}
		if err := w.closeConn(); err != nil {
			t.Error(err)
		}
	}
}

// TestANodeOfAClusterIsNoRedis has the URL lack what makes a cluster of it.
func TestANodeOfAClusterIsNoRedis(t *testing.T) {
	c := testkit.StartCluster(t)
	url := c.Nodes[0].URL()
	w, err := newWorker(settings(t, "SIDEREAL_REDIS_URL="+url), hello)
	if err != nil {
		t.Fatal(err)
	}
	if err := inVariables(w.run(t.Context())); err == nil || config.ExitCode(err) != config.ExitUsage || !strings.Contains(err.Error(), "redis+cluster://") {
		t.Errorf("got %v", err)
	}
}

// TestOldRedisForSharded has the Redis of tests, which knows no sharded pub/sub, as Redis 6 does.
func TestOldRedisForSharded(t *testing.T) {
	m := testkit.MiniRedis(t)
	w, err := newWorker(settings(t, "SIDEREAL_ADAPTER=redis-sharded", "SIDEREAL_REDIS_URL=redis://"+m.Addr()), hello)
	if err != nil {
		t.Fatal(err)
	}
	const want = `SIDEREAL_ADAPTER="redis-sharded" needs Redis 7 or later: use redis here`
	if err := inVariables(w.run(t.Context())); err == nil || err.Error() != want || config.ExitCode(err) != config.ExitUsage {
		t.Errorf("got %v, want %s", err, want)
	}
}
