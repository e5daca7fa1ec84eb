package plug

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

const (
	// frame is the time between two pictures.
	frame = 250 * time.Millisecond
	// linger is how long the clients stay after the last viewer has left.
	linger = 10 * time.Second
	// mostViewers bounds the streams of pictures.
	mostViewers = 16
	// mostLines bounds the log that the page shows.
	mostLines = 30
	// writeTimeout is how long a viewer may take to read a picture.
	writeTimeout = 5 * time.Second
)

//go:embed page
var page embed.FS

// Show is the page and the world behind it. Run owns the clients. Everything else may be called
// concurrently.
type Show struct {
	host  Host
	log   *slog.Logger
	mux   *http.ServeMux
	limit *rate.Limiter // of actions
	wake  chan supervisor.Status
	seen  chan struct{} // a viewer has come or gone

	mu      sync.Mutex
	swarm   *swarm // nil: nobody looks
	viewers int
	frozen  map[string]int // the pid of each place that was frozen
	lines   []line
	watched *watched // the last action, until everybody is served again
}

// line is one of the log.
type line struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// watched is an action whose effect is measured.
type watched struct {
	at   time.Time
	most int       // clients that were away at the same time
	last time.Time // when somebody was away
}

// New makes a Show of a host. Run it before somebody looks.
func New(host Host, log *slog.Logger) *Show {
	s := &Show{
		host: host, log: log, mux: http.NewServeMux(), limit: rate.NewLimiter(2, 4), frozen: make(map[string]int),
		wake: make(chan supervisor.Status), seen: make(chan struct{}, 1),
	}
	files, _ := fs.Sub(page, "page") // it is embedded
	s.mux.Handle("GET /plug/", http.StripPrefix("/plug/", http.FileServerFS(files)))
	s.mux.HandleFunc("GET /plug/pictures", s.pictures)
	s.mux.Handle("POST /plug/do/{action}", http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.act)))
	return s
}

// Run has clients talk while somebody looks, until ctx ends. What is frozen then is woken.
func (s *Show) Run(ctx context.Context) error {
	var waking sync.WaitGroup
	waking.Go(func() { s.wakeUp(ctx) })
	defer waking.Wait()
	for s.await(ctx, true, 0) {
		swarm, err := newSwarm(s.host.URL(), s.host.Path())
		if err != nil {
			return err
		}
		running, stop := context.WithCancel(ctx)
		var talking sync.WaitGroup
		talking.Go(func() { swarm.run(running) })
		talking.Go(func() { s.watch(running) })
		s.change(func() { s.swarm, s.watched = swarm, nil })
		s.await(ctx, false, linger)
		s.change(func() { s.swarm = nil })
		stop()
		talking.Wait()
	}
	return nil
}

func (s *Show) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// await returns once somebody looks, or nobody does, for a time. It returns false if ctx ends.
func (s *Show) await(ctx context.Context, looks bool, during time.Duration) bool {
	since := time.Now()
	for {
		var viewers int
		s.change(func() { viewers = s.viewers })
		var due <-chan time.Time
		if viewers > 0 == looks {
			rest := during - time.Since(since)
			if rest <= 0 {
				return true
			}
			due = time.After(rest)
		} else {
			since = time.Now()
		}
		select {
		case <-ctx.Done():
			return false
		case <-s.seen:
		case <-due:
		}
	}
}

// wakeUp wakes each Redis that was stopped, after its time or when ctx ends.
func (s *Show) wakeUp(ctx context.Context) {
	for {
		var p supervisor.Status
		select {
		case <-ctx.Done():
			return
		case p = <-s.wake:
		}
		timer := time.NewTimer(redisPause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		s.setFrozen(p, false)
		if err := s.host.Signal(syscall.SIGCONT, p.Name); err != nil {
			s.say("Redis can't be woken: " + err.Error() + ".")
			continue
		}
		s.say("Redis runs again.")
	}
}

// watch says how the clients got over an action.
func (s *Show) watch(ctx context.Context) {
	tick := time.NewTicker(frame / 5)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.change(func() { s.measureLocked(now) })
		}
	}
}

// unnoticed is how long nobody may have been away until an action counts as unnoticed.
const unnoticed = 5 * time.Second

func (s *Show) measureLocked(now time.Time) {
	w := s.watched
	if w == nil || s.swarm == nil {
		return
	}
	v := s.swarm.view()
	switch {
	case v.Away > 0:
		w.most, w.last = max(w.most, v.Away), now
		return
	case w.most > 0 && now.Sub(w.last) < 2*time.Second, now.Sub(w.at) < unnoticed:
		return // more may lose their connection
	}
	text := "No client lost its connection."
	if w.most > 0 {
		text = fmt.Sprintf("All clients are served again, the last after %.1f s; up to %d were away.", w.last.Sub(w.at).Seconds(), w.most)
	}
	s.watched = nil
	s.sayLocked(text)
}

func (s *Show) say(text string) { s.change(func() { s.sayLocked(text) }) }

func (s *Show) sayLocked(text string) {
	s.lines = append(s.lines, line{time.Now(), text})
	s.lines = s.lines[max(0, len(s.lines)-mostLines):]
}

func (s *Show) isFrozen(p supervisor.Status) (frozen bool) {
	s.change(func() { frozen = s.frozen[p.Name] == p.PID })
	return frozen
}

func (s *Show) setFrozen(p supervisor.Status, frozen bool) {
	s.change(func() {
		if delete(s.frozen, p.Name); frozen {
			s.frozen[p.Name] = p.PID
		}
	})
}

// ServeHTTP serves the page, its stream of pictures, and the actions: below /plug/, and over
// loopback only.
func (s *Show) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	remote, err := net.ResolveTCPAddr("tcp", r.RemoteAddr) // an address, no name
	if local == nil || !local.IP.IsLoopback() || err != nil || !remote.IP.IsLoopback() {
		http.Error(w, "this page harms processes: it is for visitors from this host alone", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	s.mux.ServeHTTP(w, r)
}

// act carries out an action.
func (s *Show) act(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("action")
	i := slices.IndexFunc(actions, func(a action) bool { return a.name == name })
	switch {
	case i < 0:
		http.Error(w, "no such action", http.StatusNotFound)
		return
	case r.Header.Get("Sidereal-Plug") == "": // a form can't set it
		http.Error(w, "the field Sidereal-Plug is missing", http.StatusForbidden)
		return
	case !s.limit.Allow():
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many actions", http.StatusTooManyRequests)
		return
	}
	did, err := actions[i].do(r.Context(), s)
	if err != nil {
		s.say(actions[i].label + ": " + err.Error() + ".")
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	s.log.Info("pull the plug", "action", name, "result", did)
	s.change(func() {
		s.sayLocked(did)
		if s.swarm != nil {
			s.watched = &watched{at: time.Now(), last: time.Now()}
		}
	})
	w.WriteHeader(http.StatusNoContent)
}

// picture is what a viewer sees.
type picture struct {
	Now       time.Time `json:"now"`
	Recovery  float64   `json:"recovery"` // seconds; 0: off
	Processes []process `json:"processes"`
	Lines     []line    `json:"lines"`
	Buttons   []button  `json:"buttons"`
	view
}

// process is one on the picture.
type process struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	State   string `json:"state"`
	PID     int    `json:"pid"`
	Worker  string `json:"worker,omitempty"` // its id
	Starts  int    `json:"starts"`
	Clients int    `json:"clients"`
}

// button is an action as the page shows it.
type button struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Does  string `json:"does"`
}

func (s *Show) picture() picture {
	p := picture{Now: time.Now(), Recovery: s.host.Recovery().Seconds()}
	processes := s.host.Processes()
	s.change(func() {
		if s.swarm != nil {
			p.view = s.swarm.view()
		}
		p.Lines = slices.Clone(s.lines)
		maps.DeleteFunc(s.frozen, func(name string, pid int) bool {
			return !slices.ContainsFunc(processes, func(p supervisor.Status) bool { return p.Name == name && p.PID == pid })
		})
		for _, of := range processes {
			one := process{Name: of.Name, Kind: kind(of.Name), State: string(of.State), PID: of.PID, Worker: of.Attrs[lifeline.Worker], Starts: of.Starts, Clients: p.view.At[of.Attrs[lifeline.Worker]]}
			if s.frozen[of.Name] == of.PID && of.PID != 0 {
				one.State = "frozen"
			}
			p.Processes = append(p.Processes, one)
		}
	})
	for _, a := range actions {
		p.Buttons = append(p.Buttons, button{a.name, a.label, a.does})
	}
	return p
}

// pictures sends a picture each frame, as server-sent events, until the viewer leaves.
func (s *Show) pictures(w http.ResponseWriter, r *http.Request) {
	admitted := false
	s.change(func() {
		if admitted = s.viewers < mostViewers; admitted {
			s.viewers++
		}
	})
	if !admitted {
		http.Error(w, "too many viewers", http.StatusServiceUnavailable)
		return
	}
	s.look()
	defer func() {
		s.change(func() { s.viewers-- })
		s.look()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	to := http.NewResponseController(w)
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for {
		raw, err := json.Marshal(s.picture())
		if err == nil {
			err = errors.Join(to.SetWriteDeadline(time.Now().Add(writeTimeout)), event(w, raw), to.Flush())
		}
		if err != nil {
			return // the viewer has left
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

func event(w http.ResponseWriter, raw []byte) error {
	_, err := fmt.Fprintf(w, "data: %s\n\n", raw)
	return err
}

// look has Run see that a viewer has come or gone.
func (s *Show) look() {
	select {
	case s.seen <- struct{}{}:
	default:
	}
}
