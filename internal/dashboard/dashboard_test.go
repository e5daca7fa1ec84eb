package dashboard

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const key = "correct horse battery"

// recorder is an Actor that does nothing, and a log that can be read.
type recorder struct {
	mu   sync.Mutex
	log  bytes.Buffer
	done []Action
	hold chan struct{} // if not nil, actions wait for it
	err  error
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(b)
}

func (r *recorder) lines() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func (r *recorder) actions() []Action {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Action{}, r.done...)
}

func (r *recorder) Verbs() []string { return []string{Drain, Reload, Disconnect, Emit} }

func (r *recorder) Do(ctx context.Context, a Action) (string, error) {
	if r.hold != nil {
		select {
		case <-r.hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, a)
	return "did " + a.Do, r.err
}

// start runs a dashboard until the test ends, or stop is called.
func start(t *testing.T, source *fakeCluster, r *recorder, withKey string) (d *Dashboard, stop func()) {
	t.Helper()
	if source.started.IsZero() {
		source.started = time.Now().Add(-time.Hour)
	}
	d, err := New(Config{Host: "host-a", App: "chat", Version: "1.2.3", Source: source, Actor: r, Key: withKey, Log: slog.New(slog.NewTextHandler(r, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return d, stop
}

// watching is a page that reads events.
type watching struct {
	cancel context.CancelFunc
	ended  chan struct{}
	events chan event
}

type event struct{ name, data string }

// stream is a ResponseWriter whose body is read as it is written.
type stream struct {
	*io.PipeWriter
	header http.Header
	status chan int
	once   sync.Once
}

func (s *stream) Header() http.Header { return s.header }
func (s *stream) Flush()              {}
func (s *stream) WriteHeader(code int) {
	s.once.Do(func() { s.status <- code })
}
func (s *stream) Write(b []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	return s.PipeWriter.Write(b)
}

// watchPath opens a stream of events.
func watchPath(d *Dashboard, path string) *watching {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{cancel: cancel, ended: make(chan struct{}), events: make(chan event, 1000)}
	r, in := io.Pipe()
	go func() {
		defer close(w.ended)
		d.ServeHTTP(&stream{PipeWriter: in, header: http.Header{}, status: make(chan int, 1)}, httptest.NewRequestWithContext(ctx, "GET", path, nil))
		in.Close()
	}()
	go func() {
		defer close(w.events)
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 4<<20)
		name := ""
		for lines.Scan() {
			if n, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = n
			} else if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				w.events <- event{name, data}
			}
		}
	}()
	return w
}

func (w *watching) close() {
	w.cancel()
	<-w.ended
}

func TestOneCollectorForAllViewersAndNoneForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeCluster{}
		d, stop := start(t, source, new(recorder), "")
		time.Sleep(time.Minute)
		if n := source.asked.Load(); n != 0 {
			t.Errorf("asked %d times with nobody looking", n)
		}
		var all []*watching
		for range 10 {
			all = append(all, watchPath(d, "/dashboard/live"))
		}
		time.Sleep(20*time.Second + time.Millisecond)
		synctest.Wait()
		if n := source.asked.Load(); n != 11 {
			t.Errorf("asked %d times in 20 s, want 11", n)
		}
		first := <-all[9].events
		var h hello
		if err := json.Unmarshal([]byte(first.data), &h); err != nil || first.name != "hello" || h.Host != "host-a" || h.Keyed || len(h.Points) < 170 {
			t.Errorf("%s with %d points: %v", first.name, len(h.Points), err)
		}
		var last view
		for range 11 {
			e := <-all[9].events
			if err := json.Unmarshal([]byte(e.data), &last); err != nil || e.name != "now" {
				t.Fatal(e.name, err)
			}
		}
		if tot := last.Total; tot.Hosts != 2 || tot.Workers != 4 || tot.Ready != 4 || tot.Routers != 2 || tot.Sessions != 400 || !tot.Measured ||
			tot.EventsIn < 3900 || tot.EventsIn > 4100 || tot.P50 == nil || *tot.P50 < 1 || *tot.P50 > 3 || tot.CPU < .5 || tot.CPU > .7 {
			t.Errorf("%+v", tot)
		}
		if len(last.Problems) != 0 || last.Point == nil {
			t.Errorf("problems %v, point %v", last.Problems, last.Point)
		}
		for _, w := range all {
			w.close()
		}
		time.Sleep(time.Minute)
		if n := source.asked.Load(); n != 11 {
			t.Errorf("asked %d times, also when nobody looked", n)
		}
		again := watchPath(d, "/dashboard/live")
		time.Sleep(time.Second)
		synctest.Wait()
		if n := source.asked.Load(); n != 12 {
			t.Errorf("asked %d times when somebody came back", n)
		}
		again.close()
		stop()
	})
}

func TestAViewerThatReadsNothingDoesntStopOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, stop := start(t, &fakeCluster{}, new(recorder), "")
		ctx, cancel := context.WithCancel(context.Background())
		_, stuck := io.Pipe() // nobody reads
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			d.ServeHTTP(&stream{PipeWriter: stuck, header: http.Header{}, status: make(chan int, 1)}, httptest.NewRequestWithContext(ctx, "GET", "/dashboard/live", nil))
		}()
		w := watchPath(d, "/dashboard/live")
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if n := len(w.events); n != 7 { // hello, and 6 views
			t.Errorf("%d events", n)
		}
		w.close()
		cancel()
		stuck.Close()
		<-ended
		stop()
	})
}

// TestAThousandViewers: connections beyond the limit are refused, and give their place back.
func TestAThousandViewers(t *testing.T) {
	source := &fakeCluster{}
	d, _ := start(t, source, new(recorder), "")
	server := httptest.NewServer(d)
	defer server.Close()
	dialed := make(chan net.Conn, 1000)
	statuses := make(chan string, 1000)
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			c, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			dialed <- c
			fmt.Fprintf(c, "GET /dashboard/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
			line, err := bufio.NewReader(c).ReadString('\n')
			if err != nil {
				t.Error(err)
			}
			statuses <- strings.TrimSpace(line)
		})
	}
	all.Wait()
	close(statuses)
	close(dialed)
	got := map[string]int{}
	for s := range statuses {
		got[s]++
	}
	if got["HTTP/1.1 200 OK"] != maxViewers || got["HTTP/1.1 503 Service Unavailable"] != 1000-maxViewers {
		t.Errorf("answers: %v", got)
	}
	for c := range dialed {
		c.Close()
	}
	testkit.Until(t, "the places to be free", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.viewers) == 0
	})
}

func get(t *testing.T, d *Dashboard, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func TestListsHaveBounds(t *testing.T) {
	source := &fakeCluster{}
	d, _ := start(t, source, new(recorder), "")
	for path, want := range map[string]string{
		"/dashboard/rooms?text=x":                              `{"rows":[{"namespace":"/","name":"lobbyx","sockets":3}],"more":4}`,
		"/dashboard/ended":                                     `{"rows":[],"more":0}`,
		"/dashboard/namespaces":                                `{"rows":[{"name":"/","sockets":3,"rooms":2,"eventsIn":7,"eventsOut":0}],"more":0}`,
		"/dashboard/clients?limit=x":                           "a parameter is wrong",
		"/dashboard/clients?limit=-1":                          "a parameter is wrong",
		"/dashboard/clients?text=" + strings.Repeat("x", 1000): "a parameter is wrong",
		"/dashboard/tap":                                       "name a client with id",
		"/dashboard/../etc/passwd":                             `<a href="/etc/passwd">Temporary Redirect</a>.`,
		"/dashboard/README.md":                                 "404 page not found",
		"/dashboard/no.js":                                     "404 page not found",
		"/other":                                               "404 page not found",
	} {
		if got := strings.TrimSpace(get(t, d, path).Body.String()); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	source.err = errors.New("host-b doesn't answer")
	if got := get(t, d, "/dashboard/ended?text=another").Body.String(); !strings.Contains(got, `"missing":"host-b doesn't answer"`) {
		t.Error(got)
	}
}

func TestViewersShareAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := answers{kept: map[string]*kept{}}
		asked, hold := 0, make(chan struct{})
		ask := func() []byte {
			asked++
			<-hold
			return fmt.Append(nil, asked)
		}
		for range 10 {
			go a.get(t.Context(), "q", ask)
		}
		ctx, leave := context.WithCancel(t.Context())
		go a.get(ctx, "q", ask)
		synctest.Wait()
		leave()
		close(hold)
		synctest.Wait()
		if got := a.get(t.Context(), "q", ask); asked != 1 || string(got) != "1" {
			t.Errorf("asked %d times for %s", asked, got)
		}
		time.Sleep(freshFor)
		if got := a.get(t.Context(), "q", ask); string(got) != "2" {
			t.Errorf("an old answer: %s", got)
		}
		for i := range 3 * maxAnswers {
			a.get(t.Context(), strconv.Itoa(i), ask)
		}
		if len(a.kept) != maxAnswers {
			t.Errorf("keeps %d answers", len(a.kept))
		}
	})
}

func TestPageNeedsNothingFromOutside(t *testing.T) {
	d, _ := start(t, &fakeCluster{}, new(recorder), "")
	page := get(t, d, "/")
	policy := page.Header().Get("Content-Security-Policy")
	if page.Code != 200 || !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self'") || strings.Contains(policy, "unsafe") {
		t.Errorf("%d, policy %q", page.Code, policy)
	}
	outside := regexp.MustCompile(`(?:src|href)="([^"#]+)"`)
	names := outside.FindAllStringSubmatch(page.Body.String(), -1)
	if len(names) < 6 {
		t.Errorf("found %v", names)
	}
	for _, m := range names {
		if name, ok := strings.CutPrefix(m[1], "/dashboard/"); ok && !strings.HasPrefix(name, "uPlot") { // which a build without npm lacks
			if f := get(t, d, m[1]); f.Code != 200 || f.Header().Get("Content-Type") == "" {
				t.Errorf("%s: %d %v", m[1], f.Code, f.Header())
			}
		} else if !ok && !strings.HasPrefix(m[1], "/") {
			t.Errorf("the page refers to %s", m[1])
		}
	}
	if inline := regexp.MustCompile(`<script>|<style>| on[a-z]+="| style="`).FindString(page.Body.String()); inline != "" {
		t.Errorf("the page has %s", inline)
	}
	for name, f := range files() {
		if strings.HasSuffix(name, ".js") && !strings.HasPrefix(name, "uPlot") && bytes.Contains(f.body, []byte("innerHTML")) {
			t.Errorf("%s makes markup of texts", name)
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/dashboard/main.js", nil)
	r.Header.Set("If-None-Match", get(t, d, "/dashboard/main.js").Header().Get("ETag"))
	if d.ServeHTTP(w, r); w.Code != http.StatusNotModified {
		t.Errorf("the same file again: %d", w.Code)
	}
}

func TestTapHasNoPayloadAndEndsWithItsPage(t *testing.T) {
	source := &fakeCluster{}
	d, _ := start(t, source, new(recorder), "")
	var all []*watching
	for range maxTaps {
		w := watchPath(d, "/dashboard/tap?id=socket1")
		if e := <-w.events; e.name != "open" {
			t.Error(e)
		}
		if e := <-w.events; e.name != "event" || !strings.Contains(e.data, `"name":"say"`) || strings.Contains(e.data, "secret") {
			t.Error(e)
		}
		all = append(all, w)
	}
	if w := get(t, d, "/dashboard/tap?id=socket1"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one more tap: %d", w.Code)
	}
	for _, w := range all {
		w.close()
	}
	if n := source.tapping.Load(); n != 0 {
		t.Errorf("%d taps go on", n)
	}
}
