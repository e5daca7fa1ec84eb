// Package adaptertest is what every cluster promises, as one suite of tests: run by socketio
// against its Hub and by package adapter against Redis.
package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

// patience bounds what a test waits for; nothing takes nearly as long.
const patience = time.Minute

// Run runs the suite. medium makes what links the servers of one test; the function that it returns
// makes each server's Cluster. The tests run beside each other, each with a medium of its own.
func Run(t *testing.T, medium func(t *testing.T) func() cluster.Cluster) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, a, b *host)
	}{
		{"a broadcast reaches all", broadcast},
		{"a broadcast to rooms reaches each member once", rooms},
		{"an exception holds everywhere", except},
		{"a local broadcast stays", local},
		{"binary parts arrive", binary},
		{"broadcasts arrive in order", order},
		{"namespaces do not mix", namespaces},
		{"answers are collected from all servers", acks},
		{"missing answers leave the others", partial},
		{"one remote socket answers", single},
		{"sockets are described", fetch},
		{"remote sockets join and leave", joinLeave},
		{"remote sockets are disconnected", disconnect},
		{"servers hear each other", serverSide},
		{"servers answer each other", serverSideAck},
		{"one server hears and answers", oneServer},
		{"servers that do not answer are named", missing},
		{"all rooms are known", allRooms},
		{"binary in a socket's data arrives", data},
		{"a server that has left is not waited for", leaver},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			link := medium(t)
			hosts := []*host{serve(t, link()), serve(t, link())}
			for _, h := range hosts {
				h.linked(len(hosts))
			}
			c.test(t, hosts[0], hosts[1])
		})
	}
}

// host is a server with two clients, x and y.
type host struct {
	*peer.Host
	t        *testing.T
	x, y     *peer.Peer
	xID, yID string
	raised   chan string // what other servers raised
	left     chan string // reasons
	cluster  cluster.Cluster
}

// Settler is a Cluster whose servers hear what others say to a room only a while after somebody
// joined it.
type Settler interface {
	// Settled tells whether it hears everything for all rooms as they are now.
	Settled() bool
}

// Waiter is a Cluster that hears the others only a while after it was started.
type Waiter interface {
	// Wait returns when it hears them.
	Wait(ctx context.Context) error
}

// settle returns when the server hears what is for its rooms.
func (h *host) settle() {
	h.t.Helper()
	if s, ok := h.cluster.(Settler); ok {
		testkit.Until(h.t, "the server to hear what is for its rooms", s.Settled)
	}
}

var (
	nameKey  = socketio.NewKey[string]("name")
	bytesKey = socketio.NewKey[[]byte]("bytes")
	deepKey  = socketio.NewKey[deep]("deep")
)

// deep has values that change on their way to JavaScript.
type deep struct {
	numbers
	List []nested `json:"list"`
}

type numbers struct {
	Least, Most int64
	Beyond      uint64
	Power       int64 // a double, which JavaScript prints otherwise
	When        time.Time
	For         time.Duration
	None        []string
}

type nested struct {
	Bytes []byte
	At    time.Time
}

var exactly = numbers{
	Least: math.MinInt64, Most: math.MaxInt64, Beyond: math.MaxUint64 - 1, Power: 1 << 60,
	When: time.Date(2026, 11, 21, 3, 4, 5, 123456789, time.FixedZone("", 3600)), For: 1234567,
}

func serve(t *testing.T, cluster cluster.Cluster) *host {
	h := &host{t: t, raised: make(chan string, 100), left: make(chan string, 10), cluster: cluster}
	h.Host = peer.Serve(t, socketio.Config{Adapter: cluster}, func(io *socketio.Server) {
		io.Share(nameKey, bytesKey, deepKey)
		io.On("join", func(s *socketio.Socket, room string) error { s.Join(room); return nil })
		io.On("keep", func(s *socketio.Socket) error {
			return errors.Join(bytesKey.Set(s, []byte{0, 255}), deepKey.Set(s, deep{exactly, []nested{{[]byte("x"), exactly.When}}}))
		})
		io.Use(func(_ context.Context, s *socketio.Socket) error { return nameKey.Set(s, "someone") })
		io.OnDisconnect(func(_ *socketio.Socket, reason string) { h.left <- reason })
		io.OnServer("tell", func(args socketio.Args) { h.raised <- args.String() })
		io.OnServer("ask", func(name string, b []byte) (string, []byte) { return "hello " + name, b })
		io.OnServer("silent", func() {})
		io.Of("/other")
	})
	h.x, h.xID = h.Join("/")
	h.y, h.yID = h.Join("/")
	return h
}

// linked waits until the server sees n servers.
func (h *host) linked(n int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if w, ok := h.cluster.(Waiter); ok {
		must(h.t, w.Wait(ctx))
	}
	for _, nsp := range []*socketio.Namespace{h.IO.Namespace, h.IO.Of("/other")} {
		for {
			got, err := nsp.ServerCount(ctx)
			if got == n && err == nil {
				break
			}
			if ctx.Err() != nil {
				h.t.Fatalf("%s sees %d servers, want %d: %v", nsp.Name(), got, n, err)
			}
		}
	}
}

// join puts a client in a room.
func (h *host) join(p *peer.Peer, room string) {
	h.t.Helper()
	p.Send(`299["join","` + room + `"]`)
	p.Want(`399[]`)
	h.settle()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// end marks the end of what a test sent: it comes from the same server, after all that.
func end(t *testing.T, from *host, peers ...*peer.Peer) {
	t.Helper()
	must(t, from.IO.Emit("end"))
	for _, p := range peers {
		p.Want(`2["end"]`)
	}
}

func broadcast(t *testing.T, a, b *host) {
	must(t, a.IO.Emit("said", "<é>", 1.5, map[string]any{"n": nil}))
	for _, p := range []*peer.Peer{a.x, a.y, b.x, b.y} {
		p.Want(`2["said","<é>",1.5,{"n":null}]`)
	}
	must(t, a.IO.Compress(false).Emit("flags"))
	for _, p := range []*peer.Peer{a.x, a.y, b.x, b.y} {
		p.Want(`2["flags"]`)
	}
	end(t, a, a.x, a.y, b.x, b.y)
}

func rooms(t *testing.T, a, b *host) {
	a.join(a.x, "r1")
	b.join(b.x, "r1")
	b.join(b.x, "r2")
	b.join(b.y, "r2")
	must(t, a.IO.To("r1").Emit("one"))
	must(t, a.IO.To("r1", "r2", "nobody").Emit("both"))
	must(t, a.IO.To("nobody").Emit("none"))
	must(t, a.IO.To(b.yID).Emit("id"))
	a.x.Want(`2["one"]`, `2["both"]`)
	b.x.Want(`2["one"]`, `2["both"]`)
	b.y.Want(`2["both"]`, `2["id"]`)
	end(t, a, a.x, a.y, b.x, b.y)
}

func except(t *testing.T, a, b *host) {
	b.join(b.x, "r")
	must(t, a.IO.Except("r").Emit("out"))
	must(t, a.IO.To("r").Except(b.xID).Emit("nobody"))
	a.x.Want(`2["out"]`)
	a.y.Want(`2["out"]`)
	b.y.Want(`2["out"]`) // before b emits: what two servers emit has no order between them
	must(t, b.IO.Except(a.xID).Emit("back"))
	a.y.Want(`2["back"]`)
	b.y.Want(`2["back"]`)
	b.x.Want(`2["back"]`)
	end(t, a, a.x, a.y, b.x, b.y)
}

func local(t *testing.T, a, b *host) {
	must(t, a.IO.Local().Emit("here"))
	must(t, a.IO.Local().SocketsJoin("r"))
	a.settle()
	must(t, b.IO.To("r").Emit("r"))
	a.x.Want(`2["here"]`, `2["r"]`)
	a.y.Want(`2["here"]`, `2["r"]`)
	list, err := a.IO.Local().FetchSockets(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("%d sockets, %v", len(list), err)
	}
	localAcks(t, a)
	end(t, a, a.x, a.y, b.x, b.y)
}

// localAcks are complete once the clients here have answered: who is elsewhere is neither asked nor
// waited for.
func localAcks(t *testing.T, a *host) {
	done := make(chan []string)
	go func() {
		answers, err := a.IO.Local().Timeout(time.Hour).EmitWithAck(t.Context(), "q")
		if err != nil {
			t.Errorf("EmitWithAck: %v", err)
		}
		done <- sorted(answers)
	}()
	reply(t, a.x, "q", `["ax"]`)
	reply(t, a.y, "q", `["ay"]`)
	if got, want := <-done, []string{`["ax"]`, `["ay"]`}; !slices.Equal(got, want) {
		t.Errorf("local answers %q, want %q", got, want)
	}
}

func binary(t *testing.T, a, b *host) {
	must(t, a.IO.To(b.xID).Emit("bin", []byte{0, 255}, map[string]any{"deep": []any{[]byte("x")}}))
	b.x.Want(`52-["bin",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1}]}]`, "b:\x00\xff", "b:x")
	end(t, a, b.x)
}

func order(t *testing.T, a, b *host) {
	a.join(a.x, "r")
	b.join(b.x, "r")
	const n = 1000
	for i := range n {
		op := a.IO.To("r")
		if i%3 == 0 {
			op = a.IO.Except("nobody")
		}
		must(t, op.Emit("n", i))
	}
	for _, p := range []*peer.Peer{a.x, b.x} {
		for i := range n {
			p.Want(fmt.Sprintf(`2["n",%d]`, i))
		}
	}
}

func namespaces(t *testing.T, a, b *host) {
	b.x.Connect("/other", "")
	must(t, a.IO.Of("/other").Emit("other"))
	b.x.Want(`2/other,["other"]`)
	must(t, a.IO.Emit("main"))
	b.x.Want(`2["main"]`)
	b.y.Want(`2["main"]`)
}

// reply has a client answer a question, whatever its id.
func reply(t *testing.T, p *peer.Peer, event, answer string) {
	t.Helper()
	got := p.Next()
	id, rest, ok := strings.Cut(strings.TrimPrefix(got, "2"), "[")
	if !ok || rest != `"`+event+`"]` {
		t.Fatalf("got %q, want the question %q", got, event)
	}
	p.Send("3" + id + answer)
}

func acks(t *testing.T, a, b *host) {
	done := make(chan []string)
	go func() {
		answers, err := a.IO.Timeout(patience).EmitWithAck(t.Context(), "q")
		if err != nil {
			t.Errorf("EmitWithAck: %v", err)
		}
		done <- sorted(answers)
	}()
	reply(t, a.x, "q", `["ax","second"]`) // only the first value counts
	reply(t, a.y, "q", `[{"y":"ay"}]`)
	reply(t, b.x, "q", `["bx"]`)
	reply(t, b.y, "q", `[null]`)
	if got, want := <-done, []string{`["ax"]`, `["bx"]`, `[null]`, `[{"y":"ay"}]`}; !slices.Equal(got, want) {
		t.Errorf("answers %q, want %q", got, want)
	}
	answers, err := a.IO.To("nobody").Timeout(patience).EmitWithAck(t.Context(), "q")
	if err != nil || len(answers) != 0 {
		t.Errorf("of nobody: %v, %v", answers, err)
	}
}

func sorted(answers []socketio.Args) []string {
	list := []string{}
	for _, a := range answers {
		list = append(list, a.String())
	}
	slices.Sort(list)
	return list
}

func partial(t *testing.T, a, b *host) {
	want := []string{`["ax"]`, `["by"]`}
	for timeout := time.Second; ; timeout *= 2 { // the answers of a busy machine may come late
		done := make(chan []string)
		go func() {
			answers, err := a.IO.Timeout(timeout).EmitWithAck(t.Context(), "q")
			if !errors.Is(err, socketio.ErrTimeout) {
				t.Errorf("EmitWithAck: %v, want ErrTimeout", err)
			}
			done <- sorted(answers)
		}()
		reply(t, a.x, "q", want[0])
		reply(t, b.y, "q", want[1])
		got := <-done
		if slices.Equal(got, want) {
			return
		}
		if timeout > patience || len(got) >= len(want) {
			t.Fatalf("answers %q, want %q", got, want)
		}
	}
}

func single(t *testing.T, a, b *host) {
	list, err := a.IO.To(b.xID).FetchSockets(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%d sockets, %v", len(list), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan string)
	go func() {
		answer, err := list[0].EmitWithAck(ctx, "q")
		done <- fmt.Sprint(answer, err)
	}()
	reply(t, b.x, "q", `["bx",2]`)
	if got := <-done; got != `["bx"] <nil>` {
		t.Errorf("answer %s", got)
	}
}

func fetch(t *testing.T, a, b *host) {
	a.join(a.x, "r")
	b.join(b.y, "r")
	b.join(b.y, "second")
	ids := func(list []socketio.RemoteSocket, err error) []string {
		t.Helper()
		must(t, err)
		var out []string
		for _, s := range list {
			out = append(out, s.ID)
		}
		slices.Sort(out)
		return out
	}
	want := func(got []string, want ...string) {
		t.Helper()
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	want(ids(a.IO.FetchSockets(t.Context())), a.xID, a.yID, b.xID, b.yID)
	want(ids(b.IO.To("r").FetchSockets(t.Context())), a.xID, b.yID)
	want(ids(a.IO.To("r").Except("second").FetchSockets(t.Context())), a.xID)
	list, err := a.IO.To(b.yID).FetchSockets(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%d sockets, %v", len(list), err)
	}
	s := list[0]
	var data struct {
		Name string `json:"name"`
	}
	if err := s.DecodeData(&data); err != nil || data.Name != "someone" {
		t.Errorf("data %+v, %v", data, err)
	}
	if want := []string{b.yID, "r", "second"}; !slices.Equal(s.Rooms, want) {
		t.Errorf("rooms %q, want %q", s.Rooms, want)
	}
	if s.Handshake.Query["EIO"] != "4" || s.Handshake.Headers.Get("Host") != "peer" || string(s.Handshake.Auth) != "{}" || s.Handshake.Issued == 0 {
		t.Errorf("handshake %+v", s.Handshake)
	}
}

func joinLeave(t *testing.T, a, b *host) {
	must(t, a.IO.To(b.xID, a.xID).SocketsJoin("r1", "r2"))
	must(t, a.IO.To("r1").Emit("in"))
	must(t, a.IO.To("r1").SocketsLeave("r2"))
	must(t, a.IO.To("r2").Emit("nobody"))
	must(t, a.IO.SocketsJoin("all"))
	must(t, a.IO.To("all").Emit("all"))
	a.x.Want(`2["in"]`, `2["all"]`)
	b.x.Want(`2["in"]`, `2["all"]`)
	a.y.Want(`2["all"]`)
	b.y.Want(`2["all"]`)
	end(t, a, a.x, a.y, b.x, b.y)
}

func disconnect(t *testing.T, a, b *host) {
	must(t, a.IO.To(b.xID).DisconnectSockets(false))
	b.x.Want("1")
	if reason := <-b.left; reason != socketio.ReasonServerDisconnect {
		t.Errorf("reason %q", reason)
	}
	must(t, a.IO.To(b.yID).DisconnectSockets(true))
	b.y.Want("1", "closed")
	end(t, a, a.x, a.y)
}

func serverSide(t *testing.T, a, b *host) {
	must(t, a.IO.ServerSideEmit("tell", "x", 1, []int{}))
	if got := <-b.raised; got != `["x",1,[]]` {
		t.Errorf("b heard %s", got)
	}
	must(t, b.IO.ServerSideEmit("tell", "back"))
	if got := <-a.raised; got != `["back"]` {
		t.Errorf("a heard %s, perhaps its own", got)
	}
}

func serverSideAck(t *testing.T, a, b *host) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answers, err := a.IO.ServerSideEmitWithAck(ctx, "ask", "b", nil)
	if err != nil || len(answers) != 1 {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	var text string
	if err := answers[0].Decode(0, &text); err != nil || text != "hello b" {
		t.Errorf("answer %s, %v", answers[0], err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if answers, err := a.IO.ServerSideEmitWithAck(short, "silent"); err == nil || len(answers) != 0 {
		t.Errorf("of a silent server: %d answers, %v", len(answers), err)
	}
}

// peerOf returns the only other server, once it is known by name.
func peerOf(t *testing.T, h *host) cluster.Peer {
	t.Helper()
	var peers []cluster.Peer
	testkit.Until(t, "the other server to be known by name", func() bool {
		peers = h.IO.Peers()
		return len(peers) == 1
	})
	return peers[0]
}

func oneServer(t *testing.T, a, b *host) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	peer := peerOf(t, a).ID
	must(t, a.IO.ServerSideEmitTo(peer, "tell", "alone", []byte{1}))
	if got := <-b.raised; got != `["alone",{"_placeholder":true,"num":0}]` {
		t.Errorf("b heard %s", got)
	}
	answer, err := a.IO.ServerSideEmitToWithAck(ctx, peer, "ask", "b", []byte{0, 255})
	var text string
	if err != nil || answer.Scan(&text) != nil || text != "hello b" {
		t.Errorf("answer %s, %v", answer, err)
	}
	if err := a.IO.ServerSideEmitTo("nobody", "tell"); !errors.Is(err, cluster.ErrNoPeer) {
		t.Error(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var timeout *cluster.MissingError
	if _, err := a.IO.ServerSideEmitToWithAck(short, peer, "silent"); !errors.As(err, &timeout) || len(timeout.Missing) != 1 || timeout.Missing[0].ID != peer {
		t.Errorf("of a silent server: %v", err)
	}
	b.Stop()
	if _, err := a.IO.ServerSideEmitToWithAck(ctx, peer, "ask", "nobody", nil); !errors.Is(err, cluster.ErrNoPeer) {
		t.Errorf("of one that left: %v", err)
	}
}

func missing(t *testing.T, a, b *host) {
	peer := peerOf(t, a)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	answers, err := a.IO.ServerSideEmitWithAck(ctx, "silent")
	var timeout *cluster.MissingError
	if len(answers) != 0 || !errors.As(err, &timeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	if timeout.Answered != 0 || timeout.Expected != 1 || !slices.Equal(timeout.Missing, []cluster.Peer{peer}) {
		t.Errorf("%+v, want %+v", timeout, peer)
	}
}

func allRooms(t *testing.T, a, b *host) {
	a.join(a.x, "r")
	b.join(b.x, "r")
	b.join(b.y, "s")
	got, err := a.IO.AllRooms(t.Context())
	want := []string{"r", "s", a.xID, a.yID, b.xID, b.yID}
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func data(t *testing.T, a, b *host) {
	peerOf(t, b) // to servers that it does not know, it speaks as Node's do
	b.x.Send(`299["keep"]`)
	b.x.Want(`399[]`)
	list, err := a.IO.FetchSockets(t.Context())
	if err != nil || len(list) != 4 {
		t.Fatalf("%d sockets, %v", len(list), err)
	}
	for _, s := range list {
		name, err := nameKey.Get(s)
		must(t, err)
		bytes, err := bytesKey.Get(s)
		if name != "someone" {
			t.Errorf("name %q", name)
		}
		if s.ID != b.xID {
			if !errors.Is(err, socketio.ErrNoValue) {
				t.Errorf("another's: %q, %v", bytes, err)
			}
			continue
		}
		must(t, err)
		if string(bytes) != "\x00\xff" {
			t.Errorf("bytes %q", bytes)
		}
		got, err := deepKey.Get(s)
		must(t, err)
		if when := got.When; !when.Equal(exactly.When) || when.Format(time.RFC3339Nano) != exactly.When.Format(time.RFC3339Nano) {
			t.Errorf("time %v, want %v", when, exactly.When)
		}
		if len(got.List) != 1 || string(got.List[0].Bytes) != "x" || !got.List[0].At.Equal(exactly.When) {
			t.Errorf("list %+v", got.List)
		}
		if got.When = exactly.When; !reflect.DeepEqual(got.numbers, exactly) {
			t.Errorf("got  %+v\nwant %+v", got.numbers, exactly)
		}
	}
}

func leaver(t *testing.T, a, b *host) {
	b.Stop()
	a.linked(1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	list, err := a.IO.FetchSockets(ctx)
	if err != nil || len(list) != 2 {
		t.Errorf("%d sockets, %v", len(list), err)
	}
	answers, err := a.IO.ServerSideEmitWithAck(ctx, "ask", "nobody")
	if err != nil || len(answers) != 0 {
		t.Errorf("%d answers, %v", len(answers), err)
	}
	end(t, a, a.x, a.y)
}
