package socketiotest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

// group is the servers of one test that are linked with each other.
type group struct {
	t     testing.TB
	cfg   socketio.Config
	app   App
	link  link
	began time.Time
	// patience limits the wait for what the test awaits, on the test's clock.
	patience time.Duration
	fake     bool // the test runs in a bubble
	handlers handlers
	marks    marks
	out      *slog.Logger // the test's output

	mu      sync.Mutex
	servers []*Server
	ended   []*peer.Host // or about to be: all that ever ran
}

// link makes the places of servers in a cluster.
type link interface {
	open(t testing.TB, log *slog.Logger) member
}

// member is the place of one server in its cluster.
type member interface {
	cluster() cluster.Cluster
	isolate(t testing.TB)
	rejoin(t testing.TB)
	// kill ends the member without a word to the others.
	kill()
	// settled returns once the server hears all that the others say, and is heard.
	settled(ctx context.Context, io *socketio.Server, servers int) error
	// hears returns once the server hears what is said to its rooms as they are now. late
	// reports whether the others hear it later, so that they have to be waited for.
	hears(ctx context.Context) (late bool, err error)
}

// In a bubble, time that nobody uses passes at once: an answer may take a day, since apps wait for
// people.
const (
	patience       = 30 * time.Second
	bubblePatience = 24 * time.Hour
)

func newGroup(t testing.TB, n int, cfg socketio.Config, app App, link link) *group {
	t.Helper()
	g := &group{t: t, cfg: cfg, app: app, link: link, began: time.Now(), patience: patience, fake: idle()}
	if g.fake {
		g.patience = bubblePatience
	}
	g.cfg.Trace = g.handlers.trace(cfg.Trace)
	out := &output{to: t.Output()}
	t.Cleanup(out.close) // when all servers have ended
	g.out = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if g.cfg.Log == nil {
		g.cfg.Log = g.out
	}
	t.Cleanup(g.end)
	for i := range n {
		g.servers = append(g.servers, &Server{t: t, group: g, number: i})
	}
	for _, s := range g.servers {
		g.start(s)
	}
	g.settle()
	return g
}

// output is the test's output until its end. A handler that hangs may log later.
type output struct {
	mu sync.Mutex
	to io.Writer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.to.Write(p)
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.to = io.Discard
}

// idle returns true once all other goroutines of the bubble wait, or false outside of one.
func idle() (bubble bool) {
	defer func() {
		if recover() != nil {
			bubble = false
		}
	}()
	synctest.Wait()
	return true
}

// start runs the app on a server that is down.
func (g *group) start(s *Server) {
	g.t.Helper()
	member := g.link.open(g.t, g.out)
	cfg := g.cfg
	cfg.Adapter = member.cluster()
	server, err := socketio.New(cfg)
	if err != nil {
		g.t.Fatal(err)
	}
	hear := func(n *socketio.Namespace) {
		n.OnError(func(socket *socketio.Socket, event string, err error) {
			g.handlers.failed(s.number, n.Name(), event, err)
		})
		n.OnServer(mark, g.marks.came)
	}
	server.OnNamespace(hear)
	hear(server.Namespace)
	if err := g.app(g.t.Context(), server); err != nil {
		g.t.Fatalf("server %d: the app returned an error: %v", s.number, err)
	}
	host := peer.Start(g.t, server)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = append(g.ended, host)
	s.Server, s.HTTP, s.host, s.member = server, host.HTTP, host, member
}

// settle returns when all servers hear each other.
func (g *group) settle() {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), g.patience)
	defer cancel()
	up := g.up()
	for _, s := range up {
		if err := s.member.settled(ctx, s.io, len(up)); err != nil {
			g.t.Fatalf("server %d doesn't hear the others: %v", s.number, err)
		}
	}
}

// hear returns once all servers have heard everything that the others have said so far, and hear
// what is said to their rooms as they are now.
func (g *group) hear(ctx context.Context) error {
	var late []running
	for _, s := range g.up() {
		is, err := s.member.hears(ctx)
		if err != nil {
			return err
		}
		if is {
			late = append(late, s)
		}
	}
	return g.marks.pass(ctx, late)
}

// running is a server that isn't down.
type running struct {
	number int
	io     *socketio.Server
	member member
}

func (g *group) up() (up []running) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.servers {
		if s.host != nil {
			up = append(up, running{s.number, s.host.IO, s.member})
		}
	}
	return up
}

// living returns the server with the number at or, if that is down, moves at to the next one. It
// returns nil if all are down.
func (g *group) living(at *int) *peer.Host {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range g.servers {
		if host := g.servers[*at].host; host != nil {
			return host
		}
		*at = (*at + 1) % len(g.servers)
	}
	return nil
}

// end ends all servers, and waits for those that were killed.
func (g *group) end() {
	g.t.Helper()
	for _, s := range g.servers {
		if host, _ := s.down(); host != nil {
			host.End()
		}
	}
	for _, host := range g.ended {
		g.awaitEnd(-1, host)
	}
}

// awaitEnd waits until a server has ended.
func (g *group) awaitEnd(number int, host *peer.Host) {
	g.t.Helper()
	what := "a server"
	if number >= 0 {
		what = fmt.Sprintf("server %d", number)
	}
	g.await(what, func() { <-host.Ended() })
}

// await calls f, which waits for goroutines to end. If that takes too long it fails the test, and
// shows where handlers are.
func (g *group) await(what string, f func()) {
	g.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	late := time.NewTimer(g.patience)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		g.t.Errorf("%s has not ended within %v: a handler ignores the end of its context%s\n%s", what, g.patience, g.handlers.running(), stacks())
	}
}

// maxStacks limits the stacks of a failure's message, in bytes.
const maxStacks = 4 << 10

// stacks returns the stacks of goroutines that run handlers.
func stacks() string {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	var found strings.Builder
	for stack := range strings.SplitSeq(string(all), "\n\n") {
		if strings.Contains(stack, "/internal/handler.") || strings.Contains(stack, "socketio.(*Socket).contain(") {
			if found.Len()+len(stack) > maxStacks {
				found.WriteString("…\n")
				break
			}
			found.WriteString(stack + "\n\n")
		}
	}
	return found.String()
}

// handlers knows which handlers of the app are running, and which failed lately.
type handlers struct {
	mu    sync.Mutex
	began map[*handling]bool
	fails []string // the last ones
}

// handling is one event in its handlers.
type handling struct {
	namespace, event string
	since            time.Time
}

// trace returns t with the handlers noted.
func (h *handlers) trace(t *socketio.Trace) *socketio.Trace {
	h.began = make(map[*handling]bool)
	var traced socketio.Trace
	if t != nil {
		traced = *t
	}
	before := traced.Handle
	traced.Handle = func(ctx context.Context, s *socketio.Socket, event string, args socketio.Args) (context.Context, func(error)) {
		var done func(error)
		if before != nil {
			ctx, done = before(ctx, s, event, args)
		}
		one := &handling{s.Namespace().Name(), event, time.Now()}
		h.mu.Lock()
		h.began[one] = true
		h.mu.Unlock()
		return ctx, func(err error) {
			h.mu.Lock()
			delete(h.began, one)
			h.mu.Unlock()
			if done != nil {
				done(err)
			}
		}
	}
	return &traced
}

// running lists the events whose handlers run, for a message.
func (h *handlers) running() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for one := range h.began {
		list = append(list, fmt.Sprintf("\n\tthe handler of %q in %s has been running for %v", one.event, one.namespace, time.Since(one.since).Round(time.Millisecond)))
	}
	slices.Sort(list)
	if len(list) > historyLength {
		list = append(list[:historyLength], "\n\t…")
	}
	return strings.Join(list, "")
}

// failed notes an error that the client doesn't see.
func (h *handlers) failed(server int, namespace, event string, err error) {
	if _, told := errors.AsType[*socketio.Error](err); told {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fails = append(h.fails, fmt.Sprintf("\n\tthe handler of %q in %s failed on server %d: %s", event, namespace, server, brief(err.Error())))
	if len(h.fails) > historyLength {
		h.fails = h.fails[1:]
	}
}

// failures lists the last errors of handlers, for a message.
func (h *handlers) failures() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.fails, "")
}
