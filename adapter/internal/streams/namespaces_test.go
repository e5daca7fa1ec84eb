package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// guarded is a server with a namespace whose middleware lets in those who know a word.
type guarded struct {
	*place
	asked    atomic.Int32 // calls of the middleware
	believed atomic.Int32 // of them, those that saw a recovered socket, rooms or data
	store    *redis.Client
}

var (
	wasKey = socketio.NewKey[string]("was")
	byKey  = socketio.NewKey[string]("by")
)

const guardedName = "/admin"

func openGuarded(t *testing.T) *guarded {
	t.Helper()
	server := testkit.StartRedis(t)
	g := &guarded{store: redis.NewClient(&redis.Options{Addr: server.Addr()})}
	t.Cleanup(func() { g.store.Close() })
	g.place = openPlace(t, server.URL(), socketio.Recovery{MaxDisconnection: time.Minute}, func(io *socketio.Server) {
		io.Of(guardedName).Share(wasKey, byKey, joinedKey)
		io.Of(guardedName).Use(func(_ context.Context, s *socketio.Socket) error {
			g.asked.Add(1)
			_, was := wasKey.Get(s)
			_, by := byKey.Get(s)
			if s.Recovered() || !errors.Is(was, socketio.ErrNoValue) || !errors.Is(by, socketio.ErrNoValue) || len(s.Rooms()) > 0 {
				g.believed.Add(1)
			}
			var auth struct{ Word string }
			if err := s.Handshake().DecodeAuth(&auth); err != nil || auth.Word != "friend" {
				return errors.New("not you")
			}
			s.Join("welcomed")
			return byKey.Set(s, "middleware")
		})
	})
	return g
}

// keep stores a session that began before everything, and returns its key.
func (g *guarded) keep(t *testing.T, s wire.Snapshot) string {
	t.Helper()
	value, err := wire.AppendSnapshot(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	key := "sio:session:" + s.PID
	if err := g.store.Set(t.Context(), key, value, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	return key
}

// enter connects to the guarded namespace with what a client says there.
func (g *guarded) enter(t *testing.T, auth map[string]any) (*client.Socket, error) {
	t.Helper()
	c, err := client.New(client.Config{URL: "http://" + g.addr, Transports: []string{client.WebSocket},
		AuthFunc: func(context.Context, string) (any, error) { return auth, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s := c.Of(guardedName)
	return s, s.Connect(linktest.Background(t))
}

// said returns the offset of an event that was said in a namespace.
func (g *guarded) said(t *testing.T, namespace string) string {
	t.Helper()
	if err := g.io.Of(namespace).Emit("said"); err != nil {
		t.Fatal(err)
	}
	g.settle()
	var at string
	testkit.Until(t, "the event in the stream", func() bool {
		all, err := g.store.XRevRangeN(t.Context(), "socket.io", "+", "-", 1).Result()
		if err != nil || len(all) == 0 || all[0].Values[wire.FieldNamespace] != namespace {
			return false
		}
		at = all[0].ID
		return true
	})
	return at
}

func notJoined(s *socketio.Socket) error {
	_, err := joinedKey.Get(s)
	return err
}

// TestSessionIsOfOneNamespace: it opens no other, whose middleware would have refused the client.
func TestSessionIsOfOneNamespace(t *testing.T) {
	g := openGuarded(t)
	v := travel(t, g.place)
	v.ask("join", "room")
	pid, seen := "", g.said(t, "/")
	for _, s := range g.recovery().all() {
		pid = s.pid
	}
	for _, offset := range []string{"", seen} {
		if _, err := g.enter(t, map[string]any{"pid": pid, "offset": offset}); err == nil {
			t.Fatalf("let in after %q", offset)
		}
	}
	s, err := g.enter(t, map[string]any{"pid": pid, "offset": seen, "word": "friend"})
	if err != nil {
		t.Fatal(err)
	}
	there, ok := g.io.Of(guardedName).Socket(s.ID())
	if !ok || there.Recovered() || slices.Contains(there.Rooms(), "room") || !errors.Is(notJoined(there), socketio.ErrNoValue) || s.ID() == v.ID() {
		t.Errorf("it brought along what it had: %+v", there)
	}
	if n := g.asked.Load(); n != 3 || g.believed.Load() != 0 {
		t.Errorf("the middleware was asked %d times, and saw a recovered socket %d times", n, g.believed.Load())
	}
	v.ask("hi") // and the session is still whose it was
}

// TestSessionWithoutANamespace, as Node's servers and ours of before store them: the middleware
// decides, before anything of it is restored, however often the client tries.
func TestSessionWithoutANamespace(t *testing.T) {
	g := openGuarded(t)
	stored := wire.Snapshot{ID: "itsidthatwasstored00", PID: "pid", Rooms: []string{"itsidthatwasstored00", "room"},
		Data: packet.Payload{JSON: []byte(`{"was":"stored","by":"somebody"}`)}}
	key := g.keep(t, stored)
	for range 3 {
		if _, err := g.enter(t, map[string]any{"pid": "pid", "offset": g.said(t, guardedName)}); err == nil {
			t.Fatal("let in")
		}
		testkit.Until(t, "the session to be given back", func() bool {
			text, err := g.store.Get(t.Context(), key).Result()
			s, bad := wire.ParseSnapshot(text)
			return err == nil && bad == nil && s.Owner == "" && s.Namespace == "" && slices.Equal(s.Rooms, stored.Rooms)
		})
	}
	s, err := g.enter(t, map[string]any{"pid": "pid", "offset": g.said(t, guardedName), "word": "friend"})
	if err != nil {
		t.Fatal(err)
	}
	there, ok := g.io.Of(guardedName).Socket(s.ID())
	if !ok || !there.Recovered() || s.ID() != stored.ID {
		t.Fatalf("not recovered: %v, %+v", s.ID(), there)
	}
	rooms := there.Rooms()
	slices.Sort(rooms)
	was, err := wasKey.Get(there)
	by, failure := byKey.Get(there)
	if !slices.Equal(rooms, []string{"itsidthatwasstored00", "room", "welcomed"}) || was != "stored" || by != "middleware" || err != nil || failure != nil {
		t.Errorf("it has the rooms %q and the data %q, %v, and %q, %v", rooms, was, err, by, failure)
	}
	if n := g.asked.Load(); n != 4 || g.believed.Load() != 0 {
		t.Errorf("the middleware was asked %d times, and saw a recovered socket %d times", n, g.believed.Load())
	}
	testkit.Until(t, "the session to name its namespace", func() bool {
		text, err := g.store.Get(t.Context(), key).Result()
		s, bad := wire.ParseSnapshot(text)
		return err == nil && bad == nil && s.Namespace == guardedName && slices.Contains(s.Rooms, "welcomed")
	})
	if _, ok := g.io.Socket(stored.ID); ok {
		t.Error("it is in the main namespace")
	}
}

// TestHostileSessions: what may stand in Redis under a key that a client names costs nobody more
// than that client.
func TestHostileSessions(t *testing.T) {
	g := openGuarded(t)
	seen := g.said(t, "/")
	many := make([]string, wire.MaxSnapshotRooms+1)
	for i := range many {
		many[i] = "r"
	}
	base := wire.Snapshot{ID: "s", Rooms: []string{"s"}, Data: packet.Payload{JSON: []byte("{}")}, Namespace: "/", From: "0-1"}
	for pid, change := range map[string]func(*wire.Snapshot){
		"rooms":   func(s *wire.Snapshot) { s.Rooms = many },
		"control": func(s *wire.Snapshot) { s.ID = "a\x00b" },
		"long":    func(s *wire.Snapshot) { s.ID = string(make([]byte, 1000)) },
	} {
		s := base
		s.PID = pid
		change(&s)
		g.keep(t, s)
		if _, _, outcome := g.recovery().resume(t.Context(), pid, seen, nil); outcome != link.Malformed {
			t.Errorf("%s: %s", pid, outcome)
		}
	}
	for i := range many {
		many[i] = fmt.Sprint("r", i)
	}
	crowded := wire.Snapshot{ID: "crowded", PID: "crowded", Rooms: many[:20_000], Data: base.Data, Namespace: guardedName, From: "0-1"}
	key := g.keep(t, crowded)
	s, err := g.enter(t, map[string]any{"pid": "crowded", "offset": g.said(t, guardedName), "word": "friend"})
	if err != nil || s.ID() == crowded.ID {
		t.Errorf("in more rooms than a socket may be: %q, %v", s.ID(), err)
	}
	testkit.Until(t, "the session to be deleted, which would be refused each time", func() bool { return g.store.Exists(t.Context(), key).Val() == 0 })

	long := string(make([]byte, 1<<20))
	before := g.calls(t, "get")
	if _, _, outcome := g.recovery().resume(t.Context(), long, seen, nil); outcome != unknown || g.calls(t, "get") != before {
		t.Errorf("a pid of a megabyte: %s, asked of Redis", outcome)
	}
}

// calls counts how often Redis has carried out a command.
func (g *guarded) calls(t *testing.T, command string) string {
	t.Helper()
	stats, err := g.store.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(stats) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":"); ok {
			count, _, _ := strings.Cut(rest, ",")
			return count
		}
	}
	return ""
}

// TestOffsetOfAnotherTime: a client that says it has seen what was said before it came, or in
// another namespace, gets no more than what was said to it since it came.
func TestOffsetOfAnotherTime(t *testing.T) {
	g := openGuarded(t)
	before, foreign := g.said(t, "/"), g.said(t, guardedName)
	v := travel(t, g.place)
	g.io.Emit("since", 1)
	v.want("since[1]#")
	pid := g.recovery().all()[0].pid
	testkit.Until(t, "the session to be stored", func() bool { return g.store.Exists(t.Context(), "sio:session:"+pid).Val() == 1 })
	for _, seen := range []string{before, foreign} {
		_, one, outcome := g.recovery().resume(t.Context(), pid, seen, nopHolder{})
		if outcome != recovered {
			t.Fatalf("after %s: %s", seen, outcome)
		}
		one.Enter(t.Context(), func(missed []packet.Payload) bool {
			if len(missed) != 1 {
				t.Errorf("after %s it missed %d events, want 1", seen, len(missed))
			}
			return true
		})
	}
}

// TestSessionTakenWhileMiddlewaresRan: the one who had it first is let go of once it has entered.
func TestSessionTakenWhileMiddlewaresRan(t *testing.T) {
	g := openGuarded(t)
	seen := g.said(t, "/")
	g.keep(t, wire.Snapshot{ID: "s", PID: "pid", Rooms: []string{"s"}, Data: packet.Payload{JSON: []byte("{}")}})
	first, second := make(displaced, 1), make(displaced, 1)
	_, slow, outcome := g.recovery().resume(t.Context(), "pid", seen, first)
	if outcome != recovered {
		t.Fatal(outcome)
	}
	_, quick, outcome := g.recovery().resume(t.Context(), "pid", seen, second)
	if outcome != recovered {
		t.Fatal(outcome)
	}
	quick.Enter(t.Context(), func([]packet.Payload) bool { return true })
	slow.Enter(t.Context(), func([]packet.Payload) bool { return true })
	testkit.Receive(t, "the first to be displaced", first)
	if len(second) > 0 {
		t.Error("who has the session was displaced, too")
	}
}

type displaced chan struct{}

func (displaced) Snapshot() (cluster.Snapshot, bool) { return cluster.Snapshot{}, false }
func (d displaced) Displaced()                       { d <- struct{}{} }

type nopHolder struct{}

func (nopHolder) Snapshot() (cluster.Snapshot, bool) { return cluster.Snapshot{}, false }
func (nopHolder) Displaced()                         {}

// TestSessionStoredAnewWhileItIsTaken: the server that a client left may notice that in the moment
// in which another takes the session over. The client is recovered all the same, as what it was at
// last; and only by one.
func TestSessionStoredAnewWhileItIsTaken(t *testing.T) {
	g := openGuarded(t)
	seen := g.said(t, "/")
	for _, c := range []struct{ owner, outcome string }{{"", recovered}, {"before", recovered}, {"quicker", taken}} {
		s := wire.Snapshot{ID: "s", PID: "pid" + c.owner, Rooms: []string{"s"}, Data: packet.Payload{JSON: []byte("{}")}, Namespace: "/", Owner: "before"}
		key := g.keep(t, s)
		g.recovery().stream.turn.Lock() // what was missed is looked up after the session, and before it is taken
		read := g.calls(t, "get")
		outcomes := make(chan string, 1)
		rooms := make(chan []string, 1)
		go func() {
			was, _, outcome := g.recovery().resume(t.Context(), s.PID, seen, nopHolder{})
			outcomes <- outcome
			rooms <- was.Rooms
		}()
		testkit.Until(t, "the session to be read", func() bool { return g.calls(t, "get") != read })
		s.Owner, s.Rooms, s.Epoch = c.owner, []string{"s", "last"}, 1
		g.keep(t, s)
		g.recovery().stream.turn.Unlock()
		if got := testkit.Receive(t, "the outcome", outcomes); got != c.outcome {
			t.Errorf("stored again by %q: %s, want %s", c.owner, got, c.outcome)
		}
		if got := <-rooms; c.outcome == recovered && !slices.Equal(got, s.Rooms) {
			t.Errorf("recovered in the rooms %q", got)
		}
		g.store.Del(t.Context(), key)
	}
}

// FuzzStoredSession takes what stands in Redis to what a socket gets of it, and back.
func FuzzStoredSession(f *testing.F) {
	for _, data := range []string{`{}`, `{"a":[1.5,null,{"b":"c"}]}`, `{"n":1e300,"deep":[[[[]]]]}`, `[]`} {
		text, err := wire.AppendSnapshot(nil, wire.Snapshot{ID: "s", PID: "p", Rooms: []string{"s", "r"}, Data: packet.Payload{JSON: []byte(data)}, From: "1-1"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	rec := &recovery{namespace: &namespace{Namespace: &link.Namespace{Name: "/"}}}
	f.Fuzz(func(t *testing.T, text string) {
		stored, err := wire.ParseSnapshot(text)
		if err != nil {
			return
		}
		was := snapshotOf(stored)
		one := &lease{rec: rec}
		again, err := one.encode(was, "owner", true)
		if err != nil {
			t.Fatalf("%+v: %v", was, err)
		}
		if back, err := wire.ParseSnapshot(string(again)); err != nil || back.Namespace != "/" || back.ID != was.ID || !slices.Equal(back.Rooms, was.Rooms) {
			t.Fatalf("%+v became %+v, %v", was, back, err)
		}
	})
}
