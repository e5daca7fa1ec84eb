package engineio

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestDrain(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		var polls []<-chan *answer
		var sids []string
		for range 5 {
			sids = append(sids, f.open())
			polls = append(polls, f.polling(sids[len(sids)-1]))
		}
		between := f.open()
		ws := f.websocket("")
		told := func() int {
			synctest.Wait()
			f.srv.drained.mu.Lock()
			defer f.srv.drained.mu.Unlock()
			return len(f.srv.drained.sids)
		}
		done := make(chan error, 1)
		go func() { done <- f.srv.Drain(t.Context(), 10) }()
		go ws.wantClose(0)
		// The first goes at once, then ten a second.
		for want := 1; want <= 7; want++ {
			if got := told(); got != want {
				t.Errorf("%d sessions told, want %d", got, want)
			}
			time.Sleep(101 * time.Millisecond)
		}
		for _, p := range polls {
			(<-p).want(t, 200, "1")
		}
		// New sessions go elsewhere; those that are still here live on.
		f.do("GET", "EIO=4&transport=polling", "").want(t, 503, "")
		if _, resp := f.upgrade("EIO=4&transport=websocket", ""); resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" {
			t.Errorf("websocket handshake: %d, %v", resp.StatusCode, resp.Header)
		}
		last := sids[0]
		for sid, until := range f.srv.drained.sids {
			if until.After(f.srv.drained.sids[last]) {
				last = sid
			}
		}
		f.post(last, "4late").want(t, 200, "ok")
		f.post("never-was", "4late").want(t, 400, `{"code":1,"message":"Session ID unknown"}`)
		f.poll(between).want(t, 200, "6\x1e1")
		if err := <-done; err != nil {
			t.Error(err)
		}
		for range 7 {
			f.session().wantClosed(t, ShuttingDown)
		}
		f.post(last, "4late").want(t, 200, "ok")
		time.Sleep(okAfterDrain)
		f.post(last, "4late").want(t, 400, `{"code":1,"message":"Session ID unknown"}`)
	})
}

func TestDrainGivesUpWithItsContext(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		f.open() // and never polls
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.srv.Drain(ctx, 0); err != context.DeadlineExceeded {
			t.Errorf("Drain: %v", err)
		}
	})
}

// The end of Run ends every session and every goroutine, whatever the clients do.
func TestRunEndsEverything(t *testing.T) {
	drive(t, Config{}, func(t *testing.T, f *fixture) {
		polite, deaf, upgrading := f.websocket(""), f.websocket(""), f.open()
		probing := f.probe(upgrading)
		go polite.wantClose(0)
		f.stop()
		for range 3 {
			f.session().wantClosed(t, ShuttingDown)
		}
		for _, c := range []*wsClient{deaf, probing} {
			for op := byte(0); op != 0xff; op, _ = c.next() {
			}
		}
		if f.srv.Len() != 0 {
			t.Errorf("%d sessions left", f.srv.Len())
		}
	})
}

// A connection that was taken just before Run's end is closed although its handler comes to it only
// afterwards, and its client does not answer.
func TestRunEndsLateConnections(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		f.open()
		session := f.session().s
		client, conn := net.Pipe()
		defer client.Close()
		go io.Copy(io.Discard, client)
		ws := &webSocket{session: session, link: f.srv.newLink(conn)}
		f.srv.admit(false, func() { f.srv.starting.Add(1) })
		go func() {
			defer f.srv.starting.Done()
			time.Sleep(2 * shutdownLinger)
			session.probeWith(ws, WebSocket)
			ws.link.start(ws, nil)
		}()
		f.stop()
	})
}

func TestRunEndsPendingPolls(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		ctx, stop := context.WithCancel(t.Context())
		srv := f.srv
		poll := f.polling(f.open())
		f.open() // between polls
		go func() {
			<-ctx.Done()
			srv.shutdown()
		}()
		stop()
		(<-poll).want(t, 200, "1")
		f.session().wantClosed(t, ShuttingDown)
		f.session().wantClosed(t, ShuttingDown)
		synctest.Wait()
		f.do("GET", "EIO=4&transport=polling", "").want(t, 503, "")
	})
}
