package relay

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio"
)

const stall = 45 * time.Second

// carry relays what the client sends, until the channel is closed.
func carry(toClient, toWorker net.Conn) <-chan struct{} {
	var client, worker netio.Stream
	client.Init(toClient, stall)
	worker.Init(toWorker, stall)
	s := newStreams(new(Pair), &client, &worker)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ways[0].carry()
	}()
	return done
}

// A peer that takes nothing is given up, and the other side with it.
func TestRelayGivesUpOnAPeerThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fromClient, toClient := net.Pipe()
		toWorker, fromWorker := net.Pipe() // nobody reads at fromWorker
		defer fromWorker.Close()
		defer fromClient.Close()
		done := carry(toClient, toWorker)
		start := time.Now()
		fromClient.Write([]byte("hello"))
		<-done
		if d := time.Since(start); d < stall || d > 2*stall {
			t.Errorf("given up after %v", d)
		}
		if _, err := toClient.Read(make([]byte, 1)); !isTimeout(err) {
			t.Errorf("the client's side goes on: %v", err)
		}
	})
}

// What moves is not given up, however slowly it does.
func TestRelayKeepsWhatMovesSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fromClient, toClient := net.Pipe()
		toWorker, fromWorker := net.Pipe()
		defer fromWorker.Close()
		done := carry(toClient, toWorker)
		b := make([]byte, 1)
		for i := range 20 { // ten minutes
			if _, err := fromClient.Write([]byte{byte(i)}); err != nil {
				t.Fatalf("after %d: %v", i, err)
			}
			time.Sleep(stall - 15*time.Second)
			if _, err := fromWorker.Read(b); err != nil || b[0] != byte(i) {
				t.Fatalf("after %d: %v", i, err)
			}
		}
		fromClient.Close()
		<-done
	})
}
