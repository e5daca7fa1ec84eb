package dashboard

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

func TestProblems(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	worker := func(host, name string, change func(*process)) process {
		p := process{Process: inspect.Process{Host: host, Name: name, Role: "worker", PID: 7, Started: now.Add(-time.Hour)}, State: "ready", Measured: true,
			Sessions: 100, UsesRedis: true, RedisUp: true, Redis: 1}
		p.EventsIn = 100
		if change != nil {
			change(&p)
		}
		return p
	}
	slow := 900.0
	for name, c := range map[string]struct {
		processes []process
		reports   []report
		missing   error
		memory    memory
		want      []string // beginnings; ! before urgent ones
	}{
		"nothing":          {},
		"all is well":      {processes: []process{worker("a", "worker-1", nil), worker("b", "worker-1", nil)}},
		"no Redis at all":  {processes: []process{worker("a", "worker-1", func(p *process) { p.UsesRedis, p.RedisUp = false, false })}},
		"Redis is away":    {processes: []process{worker("a", "worker-1", func(p *process) { p.RedisUp = false })}, want: []string{"!Redis doesn't answer. Sessions go on"}},
		"for one":          {processes: []process{worker("a", "worker-1", nil), worker("b", "worker-1", func(p *process) { p.RedisUp = false })}, want: []string{"!Redis doesn't answer worker-1 on b."}},
		"Redis is slow":    {processes: []process{worker("a", "worker-1", func(p *process) { p.Redis = 250 })}, want: []string{"Redis takes 250 ms"}},
		"somebody missing": {missing: errors.New("host c: timeout"), want: []string{"Not everybody answered, so figures may be too low: host c: timeout."}},
		"a worker is lost": {memory: memory{lost: map[place]loss{{"a", "worker-2"}: {inspect.Process{PID: 9}, now.Add(-time.Minute)}}},
			want: []string{"!worker-2 on a (pid 9) is gone, and nothing has taken its place for 1 minute."}},
		"it has ended":   {processes: []process{worker("a", "worker-1", nil), worker("a", "worker-2", func(p *process) { p.State, p.LastEnd = "waiting", "signal: killed" })}, want: []string{"!worker-2 on a has ended (signal: killed)"}},
		"it was stopped": {processes: []process{worker("a", "worker-1", nil), worker("a", "worker-2", func(p *process) { p.State = "stopped" })}, want: []string{"worker-2 on a is stopped."}},
		"it was given up": {processes: []process{worker("a", "worker-1", nil), worker("a", "worker-2", func(p *process) { p.State, p.Restarts, p.LastEnd = "errored", 16, "exit status 1" })},
			want: []string{"!worker-2 on a was given up after 16 restarts: exit status 1."}},
		"restarted": {processes: []process{worker("a", "worker-1", func(p *process) { p.Restarts, p.LastEnd, p.Started = 1, "signal: killed", now.Add(-3*time.Minute) })},
			want: []string{"worker-1 on a restarted 3 minutes ago: signal: killed."}},
		"restarted long ago": {processes: []process{worker("a", "worker-1", func(p *process) { p.Restarts = 9 })}},
		"restarts often": {processes: []process{worker("a", "worker-1", func(p *process) { p.Restarts, p.Started = 9, now.Add(-20*time.Second) })},
			want: []string{"!worker-1 on a has restarted 9 times, last 20 seconds ago: no reason is known."}},
		"one host is fuller":      {processes: []process{worker("a", "worker-1", func(p *process) { p.Sessions = 900 }), worker("b", "worker-1", nil)}, want: []string{"a has 900 sessions per worker, the other hosts 100."}},
		"by a few":                {processes: []process{worker("a", "worker-1", func(p *process) { p.Sessions = 9 }), worker("b", "worker-1", func(p *process) { p.Sessions = 1 })}},
		"no worker is ready":      {processes: []process{worker("a", "worker-1", func(p *process) { p.State = "starting" }), worker("b", "worker-1", nil)}, want: []string{"!a has no ready worker."}},
		"settings":                {reports: []report{{"a", "SIDEREAL_PATH must be the same."}}, want: []string{"!a: SIDEREAL_PATH must be the same."}},
		"settings, said by all":   {reports: []report{{"a", "SIDEREAL_PATH differs"}, {"b", "SIDEREAL_PATH differs"}}, want: []string{"!SIDEREAL_PATH differs."}},
		"many are relayed":        {processes: []process{worker("a", "worker-1", func(p *process) { p.Sessions, p.Polling, p.Relayed = 400, 100, 200 })}, want: []string{"Routers relay 67 % of the WebSockets"}},
		"few are relayed":         {processes: []process{worker("a", "worker-1", func(p *process) { p.Relayed = 99 })}},
		"handlers fail":           {processes: []process{worker("a", "worker-1", func(p *process) { p.Errors = 2 })}, want: []string{"!Handlers return 2.0 errors a second, for 100.0 events a second."}},
		"a handler failed once":   {processes: []process{worker("a", "worker-1", func(p *process) { p.Errors = .1 })}},
		"a queue grows":           {processes: []process{worker("a", "worker-1", func(p *process) { p.QueueBytes, p.queueAtFst = 9<<20, 1<<20 })}, want: []string{"!worker-1 on a sends slower than it should: 9.0 MB wait"}},
		"a queue is long":         {processes: []process{worker("a", "worker-1", func(p *process) { p.QueueBytes, p.queueAtFst = 9<<20, 9<<20 })}},
		"a router refuses":        {processes: []process{worker("a", "router", func(p *process) { p.Role, p.Failures = "router", 3 })}, want: []string{"!router on a answers 3.0 requests a second with 502, 503 or 504."}},
		"an event loop":           {processes: []process{worker("a", "worker-1", func(p *process) { p.Role, p.Worker, p.LoopDelay = "node", "x", &slow })}, want: []string{"!The event loop of worker-1 on a is blocked for up to 900 ms."}},
		"the urgent comes first":  {missing: errors.New("x"), reports: []report{{"a", "y"}}, want: []string{"!a: y.", "Not everybody"}},
		"a text that never ends":  {reports: []report{{"a", strings.Repeat("x", 10_000)}}, want: []string{"!a: " + strings.Repeat("x", maxReason) + "…."}},
		"a process with no parts": {processes: []process{{Process: inspect.Process{Host: "a", Name: "supervisor", Role: "host"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			v := &view{At: now, Processes: c.processes}
			v.Total.RedisUp = true
			for i := range v.Processes {
				p := &v.Processes[i]
				v.Total.add(p)
				if len(v.Hosts) == 0 || v.Hosts[len(v.Hosts)-1].Name != p.Host {
					v.Hosts = append(v.Hosts, hostRow{Name: p.Host})
				}
				v.Hosts[len(v.Hosts)-1].add(p)
			}
			got := problems(v, c.reports, c.missing, c.memory)
			if len(got) != len(c.want) {
				t.Fatalf("got %+v, want %q", got, c.want)
			}
			for i, want := range c.want {
				text, urgent := strings.CutPrefix(want, "!")
				if !strings.HasPrefix(got[i].Text, text) || got[i].Urgent != urgent {
					t.Errorf("got %+v, want %q", got[i], want)
				}
			}
		})
	}
}

// TestEachProblemIsExplained: docs/dashboard.md has the heading that a problem names.
func TestEachProblemIsExplained(t *testing.T) {
	code, err := os.ReadFile("problems.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/dashboard.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(page), -1) {
		anchors[strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	named := regexp.MustCompile(`add\((?:true|false), "([^"]+)"`).FindAllStringSubmatch(string(code), -1)
	if len(named) < 15 {
		t.Errorf("found %d problems", len(named))
	}
	for _, m := range named {
		if !anchors[m[1]] {
			t.Errorf("docs/dashboard.md has no heading for %s", m[1])
		}
	}
}

func TestRatesAreMeansOfTenSeconds(t *testing.T) {
	w, start := new(window), time.Unix(0, 0)
	for i := range 30 {
		s := inspect.Sample{Process: inspect.Process{PID: 1}, At: start.Add(time.Duration(2*i) * time.Second), EventsIn: uint64(20 * i), CPU: time.Duration(i) * time.Second}
		w.push(s)
		w.push(s) // the same sample again changes nothing
	}
	if p := w.process(); len(w.samples) != 6 || p.EventsIn != 10 || p.CPU != .5 || !p.Measured {
		t.Errorf("%d samples, %+v", len(w.samples), p.rates)
	}
	w.push(inspect.Sample{Process: inspect.Process{PID: 2}, At: start.Add(time.Hour), EventsIn: 5})
	if p := w.process(); p.Measured || p.EventsIn != 0 {
		t.Errorf("a new process: %+v", p.rates)
	}
	w.push(inspect.Sample{Process: inspect.Process{PID: 2}, At: start.Add(time.Hour + time.Second), EventsIn: 3})
	if p := w.process(); p.EventsIn != 0 {
		t.Errorf("a counter that went down: %+v", p.rates)
	}
}

func TestQuantile(t *testing.T) {
	if q := quantile(inspect.Histogram{}, .5); q != nil {
		t.Errorf("of nothing: %v", *q)
	}
	for name, c := range map[string]struct {
		counts      inspect.Histogram
		q, min, max float64
	}{
		"half of the first":   {inspect.Histogram{100}, .5, .05, .05},
		"the end of a bucket": {inspect.Histogram{0, 0, 50, 50}, .5, 1, 1},
		"beyond all":          {inspect.Histogram{10: 9}, .99, 3000, 3000},
		"p99":                 {inspect.Histogram{0, 0, 0, 98, 0, 0, 2}, .99, 60, 70},
	} {
		if q := quantile(c.counts, c.q); q == nil || *q < c.min-1e-9 || *q > c.max+1e-9 {
			t.Errorf("%s: %v", name, *q)
		}
	}
}
