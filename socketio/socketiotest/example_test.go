package socketiotest_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// desk is the app of the examples: agents open a ticket, and see what others do there.
func desk(_ context.Context, io *socketio.Server) error {
	io.On("open", func(s *socketio.Socket, ticket string) (string, error) {
		if ticket == "" {
			return "", &socketio.Error{Message: "no such ticket", Data: 404}
		}
		s.Join(ticket)
		return "opened", s.To(ticket).Emit("opened", s.ID())
	})
	io.On("note", func(s *socketio.Socket, ticket, text string) error {
		return s.To(ticket).Emit("noted", text)
	})
	io.On("typing", func(s *socketio.Socket, ticket string) error {
		return s.To(ticket).Volatile().Emit("typing")
	})
	io.On("poll", func(ctx context.Context) int {
		answers, _ := io.Timeout(time.Hour).EmitWithAck(ctx, "vote") // those that came in time
		return len(answers)
	})
	return nil
}

// passes runs an example's test and reports whether it passes. In a test file, the function is a
// TestXxx, without all this.
func passes(test func(t *testing.T)) bool {
	verbose := flag.Lookup("test.v").Value
	before := verbose.String()
	_ = verbose.Set("false") // else the test's name would be part of the example's output
	defer func() { _ = verbose.Set(before) }()
	every := func(string, string) (bool, error) { return true, nil }
	return testing.RunTests(every, []testing.InternalTest{{Name: "Test", F: test}})
}

// An app that asks its clients, on two servers. The hour passes at once.
func ExampleServeCluster() {
	fmt.Println(passes(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, desk)
			ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
			bob.On("vote", func() bool { return true })
			if votes := socketiotest.Call[int](ada, "poll"); votes != 1 {
				t.Errorf("%d votes", votes)
			}
		})
	}))
	// Output: true
}

// Events are wanted by name and arguments. Their order, and others, don't matter.
func ExampleClient_Want() {
	fmt.Println(passes(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server := socketiotest.Serve(t, socketio.Config{}, desk)
			ada, bob := server.Connect("/", nil), server.Connect("/", nil)
			ada.Call("open", "T1")
			bob.Call("open", "T1")
			bob.Emit("note", "T1", "first")
			bob.Emit("note", "T1", "second")
			ada.Want("noted", "second")
			ada.Want("noted", "first")
			ada.Want("opened", bob.ID())
			ada.WantNothing()
			bob.WantNothing()
		})
	}))
	// Output: true
}

// A handler's error is the answer.
func ExampleClient_Fails() {
	fmt.Println(passes(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ada := socketiotest.Serve(t, socketio.Config{}, desk).Connect("/", nil)
			if e := ada.Fails("open", ""); e.Message != "no such ticket" || e.Data.String() != "404" {
				t.Errorf("answered with %v, %v", e, e.Data)
			}
		})
	}))
	// Output: true
}

// A server dies. Its client finds its socket on the other one, with its id and rooms, and gets what
// it missed.
func ExampleServer_Kill() {
	fmt.Println(passes(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := socketio.Config{Recovery: &socketio.Recovery{}}
			servers := socketiotest.ServeCluster(t, 2, cfg, desk)
			ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
			ada.Call("open", "T1")
			servers[0].Kill()
			ada.WantDisconnect(client.ReasonTransportClose)
			bob.Emit("note", "T1", "missed")
			ada.WantRecovered()
			ada.Want("noted", "missed")
		})
	}))
	// Output: true
}

// A connection breaks. The client reconnects after a second, without recovery as a new socket, and
// sends what it emitted meanwhile.
func ExampleClient_Cut() {
	fmt.Println(passes(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server := socketiotest.Serve(t, socketio.Config{}, desk)
			ada, bob := server.Connect("/", nil), server.Connect("/", nil)
			bob.Call("open", "T1")
			ada.Cut()
			ada.WantDisconnect(client.ReasonTransportError)
			ada.Emit("note", "T1", "kept")
			start := time.Now()
			ada.WantConnect()
			if waited := time.Since(start); waited != time.Second || ada.Recovered() {
				t.Errorf("connected after %v, recovered: %t", waited, ada.Recovered())
			}
			bob.Want("noted", "kept")
		})
	}))
	// Output: true
}

// A phone in a tunnel: nobody notices before heartbeats are missing.
func ExampleClient_SetOffline() {
	fmt.Println(passes(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := socketio.Config{Recovery: &socketio.Recovery{}}
			server := socketiotest.Serve(t, cfg, desk)
			ada, bob := server.Connect("/", nil), server.Connect("/", nil)
			ada.Call("open", "T1")
			ada.SetOffline(true)
			bob.Emit("note", "T1", "are you there?")
			ada.WantDisconnect(client.ReasonPingTimeout) // 45 seconds pass
			ada.SetOffline(false)
			ada.WantRecovered()
			ada.Want("noted", "are you there?")
		})
	}))
	// Output: true
}

// A slow network.
func ExampleClient_SetDelay() {
	fmt.Println(passes(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ada := socketiotest.Serve(t, socketio.Config{}, desk).Connect("/", nil)
			ada.SetDelay(300 * time.Millisecond)
			start := time.Now()
			ada.Call("open", "T1")
			if took := time.Since(start); took != 600*time.Millisecond {
				t.Errorf("there and back in %v", took)
			}
		})
	}))
	// Output: true
}

// Volatile events arrive at clients that are ready, also in fake time, and are lost on the way to
// others.
func Example_volatile() {
	fmt.Println(passes(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, desk)
			ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
			bob.Call("open", "T1")
			ada.Emit("typing", "T1")
			ada.Emit("typing", "T1")
			bob.Want("typing")
			bob.Want("typing")
			bob.Cut()
			ada.Emit("typing", "T1")
			bob.WantConnect()
			bob.WantNothing()
		})
	}))
	// Output: true
}

// A server loses Redis, and finds it again. What it says meanwhile arrives later.
func ExampleServer_Isolate() {
	fmt.Println(passes(func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, desk)
			ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
			bob.Call("open", "T1")
			servers[0].Isolate()
			ada.Emit("note", "T1", "late")
			bob.WantNothing()
			servers[0].Rejoin()
			bob.Want("noted", "late")
		})
	}))
	// Output: true
}

// The same test in a bubble and, if the variable names one, on a real Redis with each adapter form.
func ExampleEachLink() {
	fmt.Println(passes(func(t *testing.T) {
		socketiotest.EachLink(t, os.Getenv("DESK_TEST_REDIS"), func(t *testing.T, link socketiotest.Link) {
			servers := link.ServeCluster(t, 2, socketio.Config{}, desk)
			ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
			bob.Call("open", "T1")
			ada.Emit("note", "T1", "hello")
			bob.Want("noted", "hello")
		})
	}))
	// Output: true
}
