//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

const (
	pollingClients = 20 // of each kind
	askEvery       = 150 * time.Millisecond
	sayEvery       = 100 * time.Millisecond
	routerKills    = 6
)

// TestRoutersDieBehindBalancers: routers are killed behind nginx and HAProxy while official and Go
// clients poll. No event is lost, none comes twice, none out of order, and no session ends.
func TestRoutersDieBehindBalancers(t *testing.T) {
	t.Run("nginx", func(t *testing.T) {
		redis, hosts := pair(t)
		routersDie(t, redis, hosts, harness.StartNginx(t, hosts))
	})
	// The hosts speak TLS, so the connection between two hosts goes through a router on both sides.
	t.Run("HAProxy and TLS", func(t *testing.T) {
		redis, hosts := securePair(t)
		routersDie(t, redis, hosts, harness.StartHAProxy(t, hosts, true))
	})
}

// securePair is pair with a certificate.
func securePair(t *testing.T) (redis *testkit.Redis, hosts [2]*harness.Host) {
	t.Helper()
	redis = testkit.StartRedis(t)
	serves := testkit.NewCertificate(t)
	for i, name := range []string{"host-a", "host-b"} {
		hosts[i] = harness.StartHost(t, harness.HostConfig{
			Name: name, RedisURL: redis.URL(), Workers: 2,
			Env: []string{"SIDEREAL_TLS_CERT=" + serves.Cert, "SIDEREAL_TLS_KEY=" + serves.Key},
		})
	}
	for _, h := range hosts {
		h.AwaitWorkers(t, 4)
	}
	return redis, hosts
}

func routersDie(t *testing.T, redis *testkit.Redis, hosts [2]*harness.Host, url string) {
	before := eventsIn(hosts)
	node := startPolls(t, url)
	crowd := startPollers(t, url)
	speaker := startSpeaker(t, redis.URL())
	for i := range routerKills {
		host := hosts[i%2]
		// Each client has come through since: no request meets more deaths than the balancer has
		// retries, however slow the machine is.
		crowd.round(t)
		node.round(t)
		victim := host.Child(t, "router").PID
		harness.KillPID(t, victim)
		// The next one dies only when the balancer uses this one's successor: requests of both
		// would have nowhere to go.
		testkit.UntilFor(t, harness.Patience, "the next router", func() bool { return isUsed(t, host, victim) })
	}
	speaker.end(t)
	crowd.end(t)
	official := node.end(t)
	var total seen
	total.add(official)
	total.add(&crowd.seen)
	t.Logf("official clients: %+v", *official)
	t.Logf("Go clients: %+v", crowd.seen)
	for what, n := range total.Failures {
		t.Errorf("%d × %s", n, what)
	}
	if total.Ended > 0 {
		t.Errorf("%d sessions ended", total.Ended)
	}
	if total.Asked != total.Answered {
		t.Errorf("%d questions got %d answers", total.Asked, total.Answered)
	}
	if handled := eventsIn(hosts) - before; handled != total.Asked {
		t.Errorf("%d events were handled, want %d", handled, total.Asked)
	}
	if heard := total.Said; total.Ended == 0 && heard < 2*pollingClients*routerKills {
		t.Errorf("the clients heard only %d words", heard)
	}
	repeats := 0
	for _, h := range hosts {
		for name, value := range h.Metrics() {
			if strings.HasPrefix(name, "sidereal_engine_repeats_total{") {
				repeats += int(value)
			}
		}
	}
	if repeats == 0 {
		t.Error("no request was repeated")
	}
	t.Logf("%d events, %d repeated requests", total.Asked, repeats)
}

// TestBalancersAskAHostThatJustFailed: one host fails, and then the other, while the balancer still
// leaves the first one alone. The first has recovered, and answers.
func TestBalancersAskAHostThatJustFailed(t *testing.T) {
	for name, start := range map[string]func(hosts [2]*harness.Host) string{
		"nginx":   func(hosts [2]*harness.Host) string { return harness.StartNginx(t, hosts) },
		"HAProxy": func(hosts [2]*harness.Host) string { return harness.StartHAProxy(t, hosts, false) },
	} {
		t.Run(name, func(t *testing.T) {
			var fails [2]atomic.Bool // the next request
			var hosts [2]*harness.Host
			for i := range hosts {
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.FormValue("sid") == "nobody":
						w.WriteHeader(http.StatusBadRequest)
					case fails[i].Swap(false):
						panic(http.ErrAbortHandler)
					}
				}))
				t.Cleanup(s.Close)
				hosts[i] = &harness.Host{Addr: s.Listener.Addr().String()}
			}
			url := start(hosts)
			for i := range hosts {
				fails[i].Store(true)
				for n := 0; fails[i].Load(); n++ {
					answer, err := http.Get(fmt.Sprintf("%s/socket.io/?EIO=4&transport=polling&sid=one&t=%d%d", url, i, n))
					if err != nil {
						t.Fatal(err)
					}
					answer.Body.Close()
					if answer.StatusCode != http.StatusOK {
						t.Fatalf("host %d fails, and request %d gets %s", i, n, answer.Status)
					}
				}
			}
		})
	}
}

// isUsed reports whether the successor of a router gets the balancer's requests.
func isUsed(t *testing.T, h *harness.Host, victim int) bool {
	if slices.ContainsFunc(h.Children(t), func(c harness.Child) bool { return c.PID == victim }) {
		return false
	}
	for name, value := range h.Metrics() {
		if strings.HasPrefix(name, "sidereal_router_requests_total{") && !strings.Contains(name, `decision="door"`) && value > 0 {
			return true
		}
	}
	return false
}

// eventsIn is how many events the workers have handled.
func eventsIn(hosts [2]*harness.Host) (n int) {
	for _, h := range hosts {
		for name, value := range h.Metrics() {
			if strings.HasPrefix(name, "sidereal_socketio_events_total{") && strings.Contains(name, `direction="in"`) {
				n += int(value)
			}
		}
	}
	return n
}

// seen is what clients that ask and listen have seen.
type seen struct {
	Asked, Answered, Said, Ended int
	Failures                     map[string]int
}

func (s *seen) fail(format string, a ...any) {
	if s.Failures == nil {
		s.Failures = map[string]int{}
	}
	s.Failures[fmt.Sprintf(format, a...)]++
}

func (s *seen) add(o *seen) {
	s.Asked, s.Answered, s.Said, s.Ended = s.Asked+o.Asked, s.Answered+o.Answered, s.Said+o.Said, s.Ended+o.Ended
	for what, n := range o.Failures {
		for range n {
			s.fail("%s", what)
		}
	}
}

// polls are the official clients of polls.mjs.
type polls struct {
	*harness.Process
	over func()
}

func startPolls(t *testing.T, url string) *polls {
	t.Helper()
	p, over := harness.StartWithInput(t, "official clients", "e2e/js", "node", "polls.mjs", url, fmt.Sprint(pollingClients), fmt.Sprint(askEvery.Milliseconds()))
	p.Output.Wait(t, 0, "the official clients", func(l string) bool { return l == "ready" })
	return &polls{p, over}
}

// round returns when each client has asked once more and been answered: after the round that is
// under way, and the next.
func (p *polls) round(t *testing.T) {
	t.Helper()
	next := len(p.Output.All())
	for range 2 {
		_, next = p.Output.Wait(t, next, "an answer to each official client", func(l string) bool { return l == "round" })
	}
}

// end has the clients finish, and returns what they have seen.
func (p *polls) end(t *testing.T) *seen {
	t.Helper()
	p.over()
	line, _ := p.Output.Wait(t, 0, "what the official clients have seen", harness.Contains(`"asked"`))
	s := new(seen)
	if err := json.Unmarshal([]byte(line), s); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return s
}

// speaker says one number after another to all clients.
type speaker struct {
	emitter *emitter.Emitter
	stop    context.CancelFunc
	over    sync.WaitGroup
	err     error // once over
}

func startSpeaker(t *testing.T, redisURL string) *speaker {
	t.Helper()
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	options.MaxRetries, options.ContextTimeoutEnabled = -1, true
	conn := redis.NewClient(options)
	ctx, stop := context.WithCancel(context.Background())
	s := &speaker{stop: stop}
	t.Cleanup(func() {
		stop()
		s.over.Wait()
		conn.Close()
	})
	if s.emitter, err = emitter.New(emitter.Config{Redis: conn}); err != nil {
		t.Fatal(err)
	}
	s.over.Go(func() {
		tick := time.NewTicker(sayEvery)
		defer tick.Stop()
		for n := 0; s.err == nil; n++ {
			select {
			case <-tick.C:
				s.err = s.say(n)
			case <-ctx.Done():
				s.err = s.say("end")
				return
			}
		}
	})
	return s
}

func (s *speaker) say(word any) error {
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	return s.emitter.Emit(ctx, "said", args{"msg": word})
}

// end has the speaker say the last word.
func (s *speaker) end(t *testing.T) {
	t.Helper()
	s.stop()
	s.over.Wait()
	if s.err != nil {
		t.Fatal(s.err)
	}
}

// pollers are Go clients that do what those of polls.mjs do.
type pollers struct {
	stop context.CancelFunc
	over sync.WaitGroup
	last sync.WaitGroup // the speaker's last word
	all  []*poller

	mu   sync.Mutex
	seen seen
	open int // questions without an answer
}

func startPollers(t *testing.T, url string) *pollers {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	c := &pollers{stop: stop}
	t.Cleanup(func() {
		stop()
		c.over.Wait()
	})
	for range pollingClients {
		one, err := client.New(client.Config{URL: url, Transports: []string{client.Polling}, ReconnectionDelay: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { one.Close() })
		s := one.Of("/")
		p := &poller{pollers: c, Socket: s}
		c.all = append(c.all, p)
		c.last.Add(1)
		s.On("said", p.hear)
		s.OnDisconnect(func(reason string, err error) {
			if reason == client.ReasonClientDisconnect {
				return
			}
			t.Logf("a Go client's session ended: %s, %v", reason, err)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.seen.Ended++
		})
		connecting, cancel := context.WithTimeout(ctx, harness.Patience)
		err = s.Connect(connecting)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		c.over.Go(func() {
			tick := time.NewTicker(askEvery)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					p.ask()
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return c
}

// poller is one client. pollers.mu guards its fields.
type poller struct {
	*pollers
	*client.Socket
	session    string // what the rest is about
	heard      int    // the speaker's last number; -1: none yet
	asked, got int    // questions and answers
	first      int    // question of this round
}

// inLocked has the counts begin anew in a new session.
func (p *poller) inLocked(session string) {
	if p.session != session {
		p.session, p.heard, p.asked, p.got, p.first = session, -1, 0, 0, 0
	}
}

func (p *poller) hear(word struct{ Msg any }) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inLocked(p.ID())
	number, ok := word.Msg.(float64)
	if !ok {
		p.last.Done()
		return
	}
	if n := int(number); p.heard >= 0 && n != p.heard+1 {
		p.seen.fail("%d after %d", n, p.heard)
	} else {
		p.seen.Said++
	}
	p.heard = int(number)
}

func (p *poller) ask() {
	p.mu.Lock()
	id := p.ID()
	p.inLocked(id)
	number := p.asked
	p.asked++
	p.seen.Asked++
	p.open++
	p.mu.Unlock()
	err := p.WithAck(func(answer client.Args, err error) {
		var got int
		if err == nil {
			err = answer.Scan(&got)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.open--
		switch {
		case p.ID() != id: // of the session before
		case err != nil:
			p.seen.fail("%v", err)
		case got != number || number != p.got:
			p.seen.fail("answer %d to question %d after %d", got, number, p.got)
		default:
			p.seen.Answered++
		}
		p.got = number + 1
	}).Emit("echo", number)
	if err != nil {
		p.mu.Lock()
		p.seen.fail("emit: %v", err)
		p.mu.Unlock()
	}
}

// round returns when each client has asked once more and been answered.
func (c *pollers) round(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	for _, p := range c.all {
		p.first = p.asked
	}
	c.mu.Unlock()
	testkit.UntilFor(t, harness.Patience, "an answer to each client", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return !slices.ContainsFunc(c.all, func(p *poller) bool { return p.got <= p.first })
	})
}

// end has the clients finish: they have heard the speaker's last word, and have all answers.
func (c *pollers) end(t *testing.T) {
	t.Helper()
	c.stop()
	c.over.Wait()
	c.last.Wait()
	testkit.UntilFor(t, harness.Patience, "all answers", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.open == 0
	})
}
