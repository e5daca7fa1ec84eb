//go:build e2e

package e2e

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/e2e/harness"
)

// TestFrozenWorkerUnderLoad: of 60 clients on two hosts, those of a frozen worker are served again
// once it is replaced, and newcomers are served by either transport. Once the silence is known,
// their first attempt succeeds. Before, a WebSocket that was passed to the worker ends with it, and
// its client tries again.
func TestFrozenWorkerUnderLoad(t *testing.T) {
	_, hosts := pair(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*harness.Patience)
	defer cancel()
	transports := [][]string{{"polling"}, {"websocket"}}
	var refused atomic.Int64
	connect := func(i int, once bool) *client.Socket {
		c, err := client.New(client.Config{URL: hosts[i%2].URL, Transports: transports[i/2%2], NoReconnection: once})
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { _ = c.Close() })
		s := c.Of("/")
		if err := s.Connect(ctx); err != nil {
			t.Errorf("client %d: %v", i, err)
			refused.Add(1)
			return nil
		}
		return s
	}
	ask := func(s *client.Socket) (me whoami, err error) {
		answer, err := s.EmitWithAck(ctx, "whoami")
		if err == nil {
			err = answer.Scan(&me)
		}
		return me, err
	}
	frozen := hosts[0].Child(t, "worker-1")
	var all, theirs []*client.Socket
	for i := range 60 {
		s := connect(i, false)
		if s == nil {
			return
		}
		me, err := ask(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
		if me.Worker == frozen.Worker {
			theirs = append(theirs, s)
		}
	}
	if err := syscall.Kill(frozen.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var coming sync.WaitGroup
	for i := range 60 { // some come before anybody can know
		coming.Go(func() {
			if s := connect(i, false); s != nil {
				if _, err := ask(s); err != nil {
					t.Errorf("newcomer %d: %v", i, err)
				}
			}
		})
	}
	for _, h := range hosts {
		h.AwaitWorkers(t, 3)
	}
	for i := range 60 {
		coming.Go(func() {
			if s := connect(i, true); s != nil {
				if _, err := ask(s); err != nil {
					t.Errorf("later newcomer %d: %v", i, err)
				}
			}
		})
	}
	coming.Wait()
	lost := 0
	for _, s := range theirs { // an answer is lost with the worker; the next is not
		if _, err := ask(s); err != nil {
			lost++
			if _, err := ask(s); err != nil {
				t.Errorf("a client of the frozen worker: %v", err)
			}
		}
	}
	for _, s := range all {
		if _, err := ask(s); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d of 60 were on the frozen worker, %d answers lost, %d refused", len(theirs), lost, refused.Load())
}
