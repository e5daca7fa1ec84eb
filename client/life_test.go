package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/client"
)

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		var attempts, waits []time.Duration
		start := time.Now()
		f.fail = func() error { attempts = append(attempts, time.Since(start)); return errors.New("nobody there") }
		cfg := f.config()
		cfg.ReconnectionAttempts = 5
		cfg.OnRetry = func(attempt int, wait time.Duration, err error) {
			if waits = append(waits, wait); attempt != len(waits) {
				t.Errorf("attempt %d is number %d", attempt, len(waits))
			}
		}
		c := newClient(t, cfg)
		told := 0
		c.Of("/").OnConnectError(func(error) { told++ })
		err := c.Of("/").Connect(t.Context())
		if !errors.Is(err, client.ErrGaveUp) || !strings.Contains(err.Error(), "nobody there") {
			t.Errorf("Connect: %v", err)
		}
		if want := []time.Duration{1, 2, 4, 5, 5}; !slices.EqualFunc(waits, want, func(a, b time.Duration) bool { return a == b*time.Second }) {
			t.Errorf("waits %v", waits)
		}
		if want := []time.Duration{0, 1, 3, 7, 12, 17}; !slices.EqualFunc(attempts, want, func(a, b time.Duration) bool { return a == b*time.Second }) {
			t.Errorf("attempts at %v", attempts)
		}
		c.Close()
		if told != 6 {
			t.Errorf("OnConnectError %d times, want 6", told)
		}
	})
}

func TestConnectEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		f.fail = func() error { return errors.New("nobody there") }
		c := newClient(t, f.config())
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := c.Of("/").Connect(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "nobody there") {
			t.Errorf("Connect: %v", err)
		}
		synctest.Wait()
		f.fail = func() error { t.Error("dialed after Connect had ended"); return errors.New("no") }
		time.Sleep(time.Minute) // fake time
	})
}

func TestSilentServerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		cfg := f.config()
		cfg.NoReconnection = true
		c := newClient(t, cfg)
		defer c.Close()
		start := time.Now()
		err := c.Of("/").Connect(t.Context()) // the dial succeeds, nothing answers
		if !errors.Is(err, client.ErrGaveUp) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 20*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		(<-f.conns).Close()
	})
}

func TestCloseWhileDialing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		c := newClient(t, f.config())
		done := make(chan error)
		go func() { done <- c.Of("/").Connect(t.Context()) }()
		conn := <-f.conns
		synctest.Wait()
		c.Close()
		if err := <-done; !errors.Is(err, client.ErrClosed) {
			t.Errorf("Connect: %v", err)
		}
		if err := c.Of("/").Connect(t.Context()); !errors.Is(err, client.ErrClosed) {
			t.Errorf("Connect after Close: %v", err)
		}
		conn.Close()
	})
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		cfg := f.config()
		cfg.NoReconnection = true
		pings := 0
		cfg.OnPing = func() { pings++ }
		c := newClient(t, cfg)
		s := c.Of("/")
		gone := make(chan string, 1)
		s.OnDisconnect(func(reason string, err error) { gone <- reason })
		go func() {
			w, _ := f.session(`40{"sid":"a"}`)
			time.Sleep(25 * time.Second)
			w.send("2")
			w.expect("3")
			w.expect("end")
		}()
		connect(t, s)
		start := time.Now()
		if reason := <-gone; reason != client.ReasonPingTimeout {
			t.Errorf("reason %q", reason)
		}
		if d := time.Since(start); d != 70*time.Second || pings != 1 {
			t.Errorf("gone after %v and %d pings, want 25s + 45s and one", d, pings)
		}
		c.Close()
	})
}

func TestHeartbeatOfPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newPollingServer(newFakeServer(t))
		cfg := f.config()
		cfg.Transports = []string{client.Polling}
		cfg.NoReconnection = true
		c := newClient(t, cfg)
		gone := make(chan string, 1)
		s := c.Of("/")
		s.OnDisconnect(func(reason string, err error) { gone <- reason })
		go func() {
			f.poll(open("sid", ""))
			<-f.posts
			f.poll(`40{"sid":"a"}`)
			time.Sleep(25 * time.Second)
			f.poll("2")
		}()
		connect(t, s)
		start := time.Now()
		if reason := <-gone; reason != client.ReasonPingTimeout {
			t.Errorf("reason %q", reason)
		}
		if d := time.Since(start); d != 70*time.Second {
			t.Errorf("gone after %v, want 70s", d)
		}
		if got := <-f.posts; got != "3" {
			t.Errorf("answered the ping by %q", got)
		}
		c.Close()
		f.stop()
	})
}

func TestUpgradeKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newPollingServer(newFakeServer(t))
		cfg := f.config()
		cfg.Transports = nil
		var transports []string
		cfg.OnTransport = func(name string) { transports = append(transports, name) }
		c := newClient(t, cfg)
		s := c.Of("/")
		got := make(chan int, 10)
		s.On("n", func(n int) { got <- n })
		finished := make(chan bool)
		go func() {
			defer close(finished)
			f.poll(open("the sid", `"websocket"`))
			if body := <-f.posts; body != "40" {
				t.Errorf("posted %q", body)
			}
			f.poll(`40{"sid":"a"}`)
			w := <-f.upgrades
			if !strings.Contains(w.uri, "sid=the+sid") {
				t.Errorf("upgrade at %s", w.uri)
			}
			w.expect("2probe")
			pending := <-f.polls
			w.send("3probe")
			synctest.Wait() // the client has it
			s.Emit("held", 1)
			s.Emit("held", 2)
			pending <- `42["n",1]` + "\x1e" + `42["n",2]`
			w.expect("5", `42["held",1]`, `42["held",2]`)
			w.send(`42["n",3]`)
			w.expect("41", "close")
			ws := w.conn
			ws.Close()
		}()
		connect(t, s)
		for i := 1; i <= 3; i++ {
			if n := <-got; n != i {
				t.Errorf("event %d came as number %d", n, i)
			}
		}
		if !slices.Equal(transports, []string{client.Polling, client.WebSocket}) || c.Transport() != client.WebSocket {
			t.Errorf("transports %v", transports)
		}
		c.Close()
		<-finished
		f.stop()
	})
}

func TestFailedUpgradeHarmsNothing(t *testing.T) {
	for _, refuse := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newPollingServer(newFakeServer(t))
			f.refuse = refuse
			cfg := f.config()
			cfg.Transports = nil
			c := newClient(t, cfg)
			s := c.Of("/")
			go func() {
				f.poll(open("sid", `"websocket"`))
				<-f.posts
				f.poll(`40{"sid":"a"}`)
				if !refuse {
					w := <-f.upgrades
					w.expect("2probe") // and never an answer
					w.expect("end")
					w.conn.Close()
				}
			}()
			connect(t, s)
			time.Sleep(15 * time.Second) // fake: beyond UpgradeTimeout
			s.Emit("still", "polling")
			if got := <-f.posts; got != `42["still","polling"]` || c.Transport() != client.Polling {
				t.Errorf("posted %q by %s", got, c.Transport())
			}
			c.Close()
			if got := <-f.posts; got != "41" {
				t.Errorf("posted %q", got)
			}
			if got := <-f.posts; got != "1" {
				t.Errorf("posted %q", got)
			}
			f.stop()
		})
	}
}

func TestPostsKeepToMaxPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newPollingServer(newFakeServer(t))
		cfg := f.config()
		cfg.Transports = []string{client.Polling}
		c := newClient(t, cfg)
		s := c.Of("/")
		go func() {
			f.poll(open("sid", "")) // maxPayload 100
			<-f.posts
			f.poll(`40{"sid":"a"}`)
		}()
		for i := range 20 {
			s.Emit("event", i, "some text")
		}
		connect(t, s)
		var all []string
		for len(all) < 20 {
			body := <-f.posts
			if len(body) > 100 {
				t.Errorf("body of %d bytes", len(body))
			}
			all = append(all, strings.Split(body, "\x1e")...)
		}
		for i, p := range all {
			if want := fmt.Sprintf(`42["event",%d,"some text"]`, i); p != want {
				t.Errorf("packet %q, want %q", p, want)
			}
		}
		c.Close()
		f.stop()
	})
}

func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		cfg := f.config()
		cfg.Auth = map[string]string{"token": "t"}
		c := newClient(t, cfg)
		s := c.Of("/")
		var seen []string
		s.OnConnect(func() { seen = append(seen, fmt.Sprint("connect ", s.Recovered())) })
		s.OnDisconnect(func(reason string, err error) { seen = append(seen, reason) })
		s.On("e", func(text string) { seen = append(seen, text) })
		said := make(chan string, 3)
		go func() {
			w, first := f.session(`40{"sid":"a","pid":"p"}`)
			said <- first
			w.send(`42["e","one","off1"]`)
			w.send(`421["e","acked, without offset"]`)
			w.conn.Close()
			// Two missed events come before the answer, as Node sends them.
			w, first = f.session(`40{"sid":"a","pid":"p"}`, `42["e","two","off2"]`, `42["e","three","off3"]`)
			said <- first
			w.conn.Close()
			w, first = f.session(`40{"sid":"b","pid":"q"}`) // not recovered
			said <- first
			w.ignore()
		}()
		connect(t, s)
		time.Sleep(10 * time.Second) // fake
		for i, want := range []string{
			`40{"token":"t"}`,
			`40{"pid":"p","offset":"off1","token":"t"}`,
			`40{"pid":"p","offset":"off3","token":"t"}`,
		} {
			if got := <-said; got != want {
				t.Errorf("CONNECT %d: %s, want %s", i, got, want)
			}
		}
		if id := s.ID(); id != "b" {
			t.Errorf("id %q", id)
		}
		c.Close()
		want := []string{
			"connect false", "one", "acked, without offset", client.ReasonTransportClose,
			"connect true", "two", "three", client.ReasonTransportClose, "connect false", client.ReasonClientDisconnect,
		}
		if !slices.Equal(seen, want) {
			t.Errorf("saw %q, want %q", seen, want)
		}
	})
}

func TestAuthFuncIsAskedEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		cfg := f.config()
		asked := 0
		cfg.AuthFunc = func(ctx context.Context, namespace string) (any, error) {
			if asked++; asked == 3 {
				return nil, errors.New("no more tokens")
			}
			return map[string]int{"n": asked}, nil
		}
		c := newClient(t, cfg)
		s := c.Of("/")
		refused := make(chan error, 1)
		s.OnConnectError(func(err error) { refused <- err })
		go func() {
			for i := 1; i <= 2; i++ {
				w, said := f.session(`40{"sid":"a"}`)
				if said != fmt.Sprintf(`40{"n":%d}`, i) {
					t.Errorf("CONNECT %s", said)
				}
				w.conn.Close()
			}
			w := f.accept()
			w.send(open("sid", ""))
			w.ignore()
		}()
		connect(t, s)
		if err := <-refused; !strings.Contains(err.Error(), "no more tokens") {
			t.Error(err)
		}
		c.Close()
	})
}

func TestConnectGivenUpAndWantedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		c := newClient(t, f.config())
		main, other := c.Of("/"), c.Of("/x")
		w := make(chan *webSocket)
		go func() {
			x, _ := f.session(`40{"sid":"a"}`)
			w <- x
		}()
		connect(t, main)
		x := <-w
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		read := make(chan bool)
		go func() { x.expect("40/x,"); close(read) }()
		if err := other.Connect(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Connect: %v", err)
		}
		done := make(chan error)
		go func() { done <- other.Connect(t.Context()) }()
		<-read
		synctest.Wait() // no second CONNECT, for which servers close the connection
		x.send(`40/x,{"sid":"b"}`)
		if err := <-done; err != nil {
			t.Error(err)
		}
		other.Disconnect()
		x.expect("41/x,")
		go func() { done <- other.Connect(ctx) }() // whose time is over
		x.expect("40/x,")
		<-done
		x.send(`40/x,{"sid":"c"}`) // too late: the client takes leave
		x.expect("41/x,")
		go x.ignore()
		c.Close()
	})
}
