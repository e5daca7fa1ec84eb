package outside

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// A support desk as another team writes it, and its tests.

// staff is what the desk knows of a user.
type staff struct {
	Name  string    `json:"name"`
	ID    int64     `json:"id"` // above 2⁵³
	Since time.Time `json:"since"`
	Photo []byte    `json:"photo"`
}

var (
	who   = socketio.NewKey[staff]("staff")
	notes = socketio.NewLocal[*bytes.Buffer]()
)

const (
	theirID = 1<<60 + 1
	breaks  = 15 * time.Second // how long somebody may be away
)

// team is the desk: presence for agents, files for all.
type team struct{ banned string }

func (d team) setup(_ context.Context, io *socketio.Server) error {
	agents := io.Of("/agents")
	agents.Share(who)
	agents.Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Name string }
		if err := s.Handshake().DecodeAuth(&auth); err != nil || auth.Name == "" {
			return &socketio.Error{Message: "log in", Data: "/login"}
		}
		notes.Set(s, new(bytes.Buffer))
		return who.Set(s, staff{auth.Name, theirID, time.Now().UTC(), []byte{0, 255}})
	})
	agents.OnRecover(func(_ context.Context, s *socketio.Socket) error {
		u, err := who.Get(s)
		if err == nil && u.Name == d.banned {
			err = socketio.NewError("banned")
		}
		notes.Set(s, bytes.NewBufferString("again"))
		return err
	})
	agents.OnConnect(func(s *socketio.Socket) {
		if u, err := who.Get(s); err == nil && !s.Recovered() {
			agents.Emit("here", u.Name)
		}
	})
	agents.On("self", func(s *socketio.Socket) (staff, error) { return who.Get(s) })
	agents.On("notes", func(s *socketio.Socket) string { b, _ := notes.Get(s); return b.String() })
	agents.On("take", func(s *socketio.Socket, customer string) bool { s.Join(customer); return true })
	agents.On("list", func(ctx context.Context) ([]string, error) {
		sockets, err := agents.FetchSockets(ctx)
		names := []string{}
		for _, s := range sockets {
			if u, err := who.Get(s); err == nil {
				names = append(names, u.Name)
			}
		}
		slices.Sort(names)
		return names, err
	})
	io.On("upload", func(s *socketio.Socket, customer, name string, file []byte) (int, error) {
		if len(file) == 0 {
			return 0, &socketio.Error{Message: "empty file", Data: name}
		}
		return len(file), agents.To(customer).Emit("uploaded", name, file)
	})
	return nil
}

func as(name string) map[string]string { return map[string]string{"name": name} }

// TestDesk is the same on one process and on Redis, with each adapter.
func TestDesk(t *testing.T) {
	socketiotest.EachLink(t, startRedis(t), func(t *testing.T, link socketiotest.Link) {
		servers := link.ServeCluster(t, 2, socketio.Config{}, team{}.setup)
		if e := servers[0].Refused("/agents", nil); e.Message != "log in" || string(e.Data) != `"/login"` {
			t.Errorf("refused with %v, %s", e, e.Data)
		}
		ada := servers[0].Connect("/agents", as("ada"))
		bob := servers[1].Connect("/agents", as("bob"))
		ada.Want("here", "bob")
		if names := socketiotest.Call[[]string](ada, "list"); !slices.Equal(names, []string{"ada", "bob"}) {
			t.Errorf("here are %q", names)
		}
		eve := servers[0].Connect("/", nil)
		bob.Call("take", "eve")
		file := bytes.Repeat([]byte("pixel"), 100_000)
		if n := socketiotest.Call[int](eve, "upload", "eve", "screen.png", file); n != len(file) {
			t.Errorf("stored %d bytes", n)
		}
		bob.Want("uploaded", "screen.png", file)
		if e := eve.Fails("upload", "eve", "x", []byte{}); e.Message != "empty file" || e.Data.String() != `"x"` {
			t.Errorf("an empty file: %v, %v", e, e.Data)
		}
		bob.Want("here", "bob")
		bob.WantNothing()
	})
}

// TestDeskSurvivesAServer kills the server of an agent: the other agents see no change.
func TestDeskSurvivesAServer(t *testing.T) {
	test := func(t *testing.T, link socketiotest.Link) {
		cfg := socketio.Config{Recovery: &socketio.Recovery{MaxDisconnection: breaks}, MaxHTTPBufferSize: 1 << 20}
		servers := link.ServeCluster(t, 2, cfg, team{banned: "eve"}.setup)
		ada, bob := servers[0].Connect("/agents", as("ada")), servers[1].Connect("/agents", as("bob"))
		eve := servers[0].Connect("/agents", as("eve"))
		ada.Call("take", "customer")
		before := socketiotest.Call[staff](ada, "self")
		for _, name := range []string{"ada", "bob", "eve"} {
			if name != "ada" {
				ada.Want("here", name)
			}
		}
		servers[0].Kill()
		ada.WantDisconnect(client.ReasonTransportClose)
		servers[1].Of("/agents").To("customer").Emit("mail", "while you were away")
		ada.WantRecovered()
		ada.Want("mail", "while you were away")
		after := socketiotest.Call[staff](ada, "self")
		if after.Name != before.Name || after.ID != theirID || !after.Since.Equal(before.Since) || !bytes.Equal(after.Photo, before.Photo) {
			t.Errorf("is %+v, was %+v", after, before)
		}
		if text := socketiotest.Call[string](ada, "notes"); text != "again" {
			t.Errorf("notes %q", text)
		}
		eve.WantConnect() // refused by OnRecover, and then as new
		if eve.Recovered() {
			t.Error("a banned agent was recovered")
		}
		bob.Want("here", "eve")
		bob.Want("here", "bob")
	}
	socketiotest.EachLink(t, startRedis(t), test, adapter.Streams{})
}

// TestDeskInATunnel needs 45 seconds of a bubble's time, or none.
func TestDeskInATunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := socketio.Config{Recovery: &socketio.Recovery{MaxDisconnection: breaks}}
		servers := socketiotest.ServeCluster(t, 2, cfg, team{}.setup)
		ada := servers[0].Connect("/agents", as("ada"))
		ada.SetOffline(true)
		ada.WantDisconnect(client.ReasonPingTimeout)
		time.Sleep(2 * breaks)
		ada.SetOffline(false)
		ada.WantConnect()
		if ada.Recovered() {
			t.Error("recovered after too long a break")
		}
	})
}
