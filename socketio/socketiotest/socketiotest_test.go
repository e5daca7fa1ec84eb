package socketiotest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var nameKey = socketio.NewKey[string]("name")

// app is what is tested here: a room with names, a slow question, a page.
func app(_ context.Context, io *socketio.Server) error {
	io.Share(nameKey)
	io.Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Name string }
		if err := s.Handshake().DecodeAuth(&auth); err != nil || auth.Name == "" {
			return &socketio.Error{Message: "say who you are", Data: 401}
		}
		return nameKey.Set(s, auth.Name)
	})
	io.On("join", func(s *socketio.Socket, room string) (string, error) {
		s.Join(room)
		name, err := nameKey.Get(s)
		s.To(room).Emit("joined", map[string]any{"room": room, "name": name}, []byte("photo"))
		return "welcome", err
	})
	io.On("poll", func(ctx context.Context, s *socketio.Socket) (int, error) {
		answers, _ := io.Timeout(time.Minute).EmitWithAck(ctx, "vote")
		return len(answers), nil
	})
	io.On("bye", (*socketio.Socket).Disconnect)
	io.On("fail", func(string) (int, error) { return 0, errors.New("disk full") })
	io.On("echo", func(s *socketio.Socket, i int) bool { return s.Emit("echo", i) == nil })
	io.On("stuck", func(ctx context.Context) int { <-ctx.Done(); return 0 })
	io.Handle("GET /hello", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	return nil
}

type named struct {
	Name string `json:"name"`
}

func TestCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, app)
		if refusal := servers[0].Refused("/", nil); refusal.Message != "say who you are" || string(refusal.Data) != "401" {
			t.Errorf("refused with %v", refusal)
		}
		ada, bob := servers[0].Connect("/", named{"Ada"}), servers[1].Connect("/", named{"Bob"})
		ada.Call("join", "lobby")
		var welcome string
		if err := bob.Call("join", "lobby").Scan(&welcome); err != nil || welcome != "welcome" {
			t.Errorf("%q, %v", welcome, err)
		}
		ada.Want("joined", map[string]string{"room": "lobby", "name": "Bob"}, []byte("photo"))
		synctest.Wait()
		ada.WantNothing()
		bob.WantNothing()

		// A minute passes at once.
		bob.On("vote", func() string { return "yes" })
		start := time.Now()
		var votes int
		if err := ada.Call("poll").Scan(&votes); err != nil || votes != 1 || time.Since(start) != time.Minute {
			t.Errorf("%d votes after %v, %v", votes, time.Since(start), err)
		}
		bob.Want("vote")
		bob.Emit("bye", false)
		bob.WantDisconnect(client.ReasonServerDisconnect)
		servers[0].Stop()
		ada.Want("vote")
		ada.WantDisconnect(client.ReasonTransportClose)
	})
}

func TestPagesAndPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := socketiotest.Serve(t, socketio.Config{}, app)
		r, err := server.HTTP.Get("http://any/hello")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if string(text) != "hello" {
			t.Errorf("page %q", text)
		}
		poller := server.Dial(client.Config{Auth: named{"Eve"}, Transports: []string{client.Polling}})
		if err := poller.Of("/").Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if answer, err := poller.Of("/").EmitWithAck(t.Context(), "join", "lobby"); err != nil || answer.String() != `["welcome"]` {
			t.Errorf("%v, %v", answer, err)
		}
	})
}

// failing is a test that has failed, by its message.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper()                   {}
func (f *failing) Fatalf(s string, v ...any) { f.message = fmt.Sprintf(s, v...); panic(f) }

func TestWhatFailsSaysWhy(t *testing.T) {
	for _, c := range []struct {
		do   func(c *socketiotest.Client)
		want []string
	}{
		{func(c *socketiotest.Client) { c.Call("join", "a"); c.Want("joined", 7) },
			[]string{`client of / with {"name":"Ada"}: no event joined[7] came within 24h`, "this is what happened", "connected as "}},
		{func(c *socketiotest.Client) { c.Emit("bye", true); c.Next("joined") },
			[]string{`no event "joined" came, and the client is disconnected`, "disconnected: io server disconnect"}},
		{func(c *socketiotest.Client) { c.Call("nobody's") }, []string{`nobody's: no answer came within 24h`}},
		{func(c *socketiotest.Client) { c.WantDisconnect("x") }, []string{`is not disconnected, want "x" within 24h`}},
		{func(c *socketiotest.Client) { c.Cut(); c.WantDisconnect("x") }, []string{`disconnected for "transport error", want "x"`}},
		{func(c *socketiotest.Client) { c.Cut(); c.WantRecovered() }, []string{"connected as a new socket, want it recovered", "+1s  connected as"}},
		{func(c *socketiotest.Client) { c.WantConnect() }, []string{"has not connected again within 24h"}},
		{func(c *socketiotest.Client) { c.Call("fail", "x") },
			[]string{`fail: answered with an error: internal error`, `the handler of "fail" in / failed on server 0: disk full`}},
		{func(c *socketiotest.Client) { c.Fails("join", "x") }, []string{`join answered ["welcome"], want an error`}},
		{func(c *socketiotest.Client) { socketiotest.Call[int](c, "join", "x") }, []string{`join answered ["welcome"]: `}},
		{func(c *socketiotest.Client) {
			for i := range 30 {
				c.Call("echo", i)
			}
			c.WantNothing()
		}, []string{`got echo[0], want nothing`, "the last 10 of 31 things", "echo[29]"}},
		{func(c *socketiotest.Client) { c.Call("stuck") },
			[]string{`stuck: no answer came within 24h`, `the handler of "stuck" in / has been running for 24h`}},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &failing{TB: t}
			server := socketiotest.Serve(f, socketio.Config{}, app)
			client := server.Connect("/", named{"Ada"})
			func() {
				defer func() { recover() }()
				c.do(client)
			}()
			for _, want := range c.want {
				if !strings.Contains(f.message, want) {
					t.Errorf("failed with %q, want %q", f.message, want)
				}
			}
		})
	}
}

// TestAPageMayLeaveABody: net/http keeps the connection of such a request for half a second more,
// which must pass before the bubble ends.
func TestAPageMayLeaveABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := socketiotest.Serve(t, socketio.Config{}, func(_ context.Context, io *socketio.Server) error {
			io.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "no", http.StatusForbidden)
			}))
			return nil
		})
		answer, err := s.HTTP.Post("http://server/", "text/plain", strings.NewReader(strings.Repeat("x", 1<<20)))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusForbidden {
			t.Error(answer.Status)
		}
	})
}
