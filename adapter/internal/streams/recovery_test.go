package streams

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
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

// wireTo is a way to Redis that can be cut: who uses it is then, for all others, as good as dead.
type wireTo struct {
	listener net.Listener
	mu       sync.Mutex
	cut      bool
	conns    []net.Conn
	copying  sync.WaitGroup
}

func newWire(t *testing.T, addr string) *wireTo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wireTo{listener: l}
	w.copying.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			out, err := net.Dial("tcp", addr)
			if err != nil || w.cut {
				in.Close()
				w.mu.Unlock()
				continue
			}
			w.conns = append(w.conns, in, out)
			w.mu.Unlock()
			w.copying.Go(func() { _, _ = io.Copy(out, in); out.Close() })
			w.copying.Go(func() { _, _ = io.Copy(in, out); in.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.sever(true)
		w.copying.Wait()
	})
	return w
}

func (w *wireTo) url() string { return "redis://" + w.listener.Addr().String() }

// sever closes what there is, and until it is mended refuses what comes.
func (w *wireTo) sever(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

// place is a server over streams.
type place struct {
	io   *socketio.Server
	form *Form
	addr string
}

var joinedKey = socketio.NewKey[string]("joined")

func openPlace(t *testing.T, url string, recovery socketio.Recovery, setUp ...func(*socketio.Server)) *place {
	t.Helper()
	r, err := New(link.Config{Conn: linktest.Connect(t, url), OwnConn: true}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	r.patient = time.Minute // every event has its offset, however busy the machine is
	io, err := socketio.New(socketio.Config{Adapter: r, Recovery: &recovery})
	if err != nil {
		t.Fatal(err)
	}
	io.Share(joinedKey)
	io.On("join", func(s *socketio.Socket, room string) error { s.Join(room); return joinedKey.Set(s, room) })
	io.On("hi", func(s *socketio.Socket) error { return s.Emit("hi") })
	io.On("bye", func(s *socketio.Socket) { s.Emit("last"); s.Disconnect(false) })
	for _, f := range setUp {
		f(io)
	}
	server := testkit.Serve(t, io)
	if err := r.Wait(linktest.Background(t)); err != nil {
		t.Fatal(err)
	}
	return &place{io, r, server.Listener.Addr().String()}
}

// settle returns once what was emitted here has been delivered here.
func (p *place) settle() {
	settled := make(chan struct{})
	p.recovery().After(func() { close(settled) })
	<-settled
}

// keep returns once Redis has the sessions as they are.
func (p *place) keep(t *testing.T) {
	t.Helper()
	ctx := linktest.Background(t)
	p.form.snapshots.drain(ctx)
	if err := ctx.Err(); err != nil {
		t.Fatal(err)
	}
}

func (p *place) recovery() *recovery {
	return p.form.find("/").recovery.Load()
}

// traveller is a client that can be sent to another server.
type traveller struct {
	*client.Socket
	t    *testing.T
	at   atomic.Pointer[string]
	mu   sync.Mutex
	conn net.Conn
	told chan string
}

func travel(t *testing.T, to *place) *traveller {
	t.Helper()
	v := &traveller{t: t, told: make(chan string, 1000)}
	v.at.Store(&to.addr)
	c, err := client.New(client.Config{
		URL: "http://somewhere", Transports: []string{client.WebSocket}, ReconnectionDelay: time.Millisecond, ReconnectionDelayMax: 10 * time.Millisecond,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, network, *v.at.Load())
			v.mu.Lock()
			v.conn = conn
			v.mu.Unlock()
			return conn, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	v.Socket = c.Of("/")
	v.OnAny(func(event string, args client.Args) {
		text := args.String()
		if i := strings.LastIndex(text, `"`); strings.HasSuffix(text, `"]`) && i > 0 { // without the offset
			from := strings.LastIndex(text[:i], `"`)
			if _, ok := parseOffset(text[from+1 : i]); ok {
				text = strings.TrimSuffix(text[:from], ",") + "]#"
			}
		}
		v.told <- event + text
	})
	v.OnDisconnect(func(reason string, _ error) {
		if reason == client.ReasonServerDisconnect {
			v.told <- "left " + reason
		}
	})
	v.OnConnect(func() { v.told <- fmt.Sprint("connected ", v.Recovered()) })
	if err := v.Connect(linktest.Background(t)); err != nil {
		t.Fatal(err)
	}
	v.want("connected false")
	return v
}

// move has the client come back at another server.
func (v *traveller) move(to *place) {
	v.at.Store(&to.addr)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conn.Close()
}

func (v *traveller) want(all ...string) {
	v.t.Helper()
	for _, want := range all {
		if got := testkit.Receive(v.t, want, v.told); got != want {
			v.t.Fatalf("told %s, want %s", got, want)
		}
	}
}

// ask emits an event and waits for its answer.
func (v *traveller) ask(event string, args ...any) {
	v.t.Helper()
	if _, err := v.EmitWithAck(linktest.Background(v.t), event, args...); err != nil {
		v.t.Fatal(err)
	}
}

// stored returns the only session in Redis once ok; with a nil ok it waits until there is none.
func stored(t *testing.T, addr string, ok func(wire.Snapshot) bool) (s wire.Snapshot) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer c.Close()
	testkit.Until(t, "the session in Redis", func() bool {
		keys, err := c.Keys(t.Context(), "sio:session:*").Result()
		if ok == nil {
			return err == nil && len(keys) == 0
		}
		if err != nil || len(keys) != 1 {
			return false
		}
		text, err := c.Get(t.Context(), keys[0]).Result()
		if err != nil {
			return false
		}
		s, err = wire.ParseSnapshot(text)
		return err == nil && ok(s)
	})
	return s
}

// TestClientOfADeadServerComesBackElsewhere cuts a server from Redis, which then has stored nothing
// at the end.
func TestClientOfADeadServerComesBackElsewhere(t *testing.T) {
	server := testkit.StartRedis(t)
	way := newWire(t, server.Addr())
	a := openPlace(t, way.url(), socketio.Recovery{})
	b := openPlace(t, server.URL(), socketio.Recovery{})
	v := travel(t, a)
	id := v.ID()
	v.ask("join", "room")
	v.ask("join", "second")
	if err := b.io.To("room").Emit("seen", 1); err != nil {
		t.Fatal(err)
	}
	v.want("seen[1]#")
	s := stored(t, server.Addr(), func(s wire.Snapshot) bool { return len(s.Rooms) == 3 })
	if s.ID != id || s.Owner == "" || string(s.Data.JSON) != `{"joined":"second"}` {
		t.Errorf("stored %+v", s)
	}
	way.sever(true)

	for i := range 3 {
		b.io.To("room").Emit("missed", i)
	}
	b.io.Emit("missed", []byte("x"))
	b.io.To("elsewhere").Emit("no")
	b.io.Except("second").Emit("no")
	b.io.Volatile().Emit("no")
	b.io.Of("/other").Emit("no")
	b.io.To(id).Emit("missed", "own")
	b.settle()
	v.move(b)
	v.want("connected true", "missed[0]#", "missed[1]#", "missed[2]#", `missed[{"_placeholder":true,"num":0}]#`, `missed["own"]#`)
	if v.ID() != id {
		t.Errorf("came back as %s, was %s", v.ID(), id)
	}
	back, ok := b.io.Socket(id)
	if !ok || !back.Recovered() {
		t.Fatalf("not restored: %v", ok)
	}
	if room, err := joinedKey.Get(back); err != nil || room != "second" || !slices.Equal(back.Rooms()[1:], []string{"room", "second"}) {
		t.Errorf("restored %v with %v", ok, back)
	}
	b.io.To("second").Emit("live")
	v.want("live[]#")

	way.sever(false) // the old owner is back, and must not store what it had
	testkit.Until(t, "the old owner to find Redis", a.form.Up)
	testkit.Until(t, "the socket to leave the old owner", func() bool { _, ok := a.io.Socket(id); return !ok })
	v.ask("join", "third")
	s = stored(t, server.Addr(), func(s wire.Snapshot) bool { return slices.Contains(s.Rooms, "third") })
	if string(s.Data.JSON) != `{"joined":"third"}` {
		t.Errorf("stored %+v", s)
	}
	v.ask("hi")
	v.want("hi[]#")
	v.Emit("bye") // what was emitted before a disconnect arrives, and nobody comes back after it
	v.want("last[]#", "left io server disconnect")
	stored(t, server.Addr(), nil)
}

// TestSessionIsTakenOnce has two servers believe to have the same session.
func TestSessionIsTakenOnce(t *testing.T) {
	server := testkit.StartRedis(t)
	a := openPlace(t, server.URL(), socketio.Recovery{MaxDisconnection: time.Minute})
	b := openPlace(t, server.URL(), socketio.Recovery{MaxDisconnection: time.Minute})
	value, err := wire.AppendSnapshot(nil, wire.Snapshot{ID: "sid", PID: "pid", Rooms: []string{"sid"}, Data: packet.Payload{JSON: []byte("{}")}})
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer c.Close()
	if err := c.Set(t.Context(), "sio:session:pid", value, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	was := cluster.Snapshot{ID: "sid", PID: "pid", Rooms: []string{"sid"}}
	outcomes := make(chan string, 2)
	for _, p := range []*place{a, b} {
		go func() {
			one := &lease{rec: p.recovery(), pid: "pid"}
			outcomes <- one.take(t.Context(), string(value), was)
		}()
	}
	got := []string{<-outcomes, <-outcomes}
	slices.Sort(got)
	if !slices.Equal(got, []string{recovered, taken}) {
		t.Errorf("%q", got)
	}
}

// TestWhatCannotBeRecoveredBeginsAnew, and stays for another try where there may be one.
func TestWhatCannotBeRecoveredBeginsAnew(t *testing.T) {
	server := testkit.StartRedis(t)
	p := openPlace(t, server.URL(), socketio.Recovery{MaxDisconnection: time.Minute})
	c := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer c.Close()
	if err := p.io.Emit("something"); err != nil {
		t.Fatal(err)
	}
	p.settle()
	session := func(pid string) string {
		value, err := wire.AppendSnapshot(nil, wire.Snapshot{ID: "sid", PID: pid, Rooms: []string{"sid"}, Data: packet.Payload{JSON: []byte("{}")}})
		if err != nil {
			t.Fatal(err)
		}
		return string(value)
	}
	for key, value := range map[string]string{"good": session("good"), "garbage": "!", "other": session("good")} {
		if err := c.Set(t.Context(), "sio:session:"+key, value, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, try := range []struct{ pid, seen, outcome string }{
		{"nobody", "1-1", unknown},
		{"good", "", unknown}, // one of Node's says nothing about its beginning
		{"good", "1-1", gone},
		{"good", "99999999999999-0", gone},
		{"good", "junk", unknown},
		{"garbage", "1-1", link.Malformed},
		{"other", "1-1", link.Malformed},
	} {
		if _, _, outcome := p.recovery().resume(t.Context(), try.pid, try.seen, nil); outcome != try.outcome {
			t.Errorf("%s after %q: %s, want %s", try.pid, try.seen, outcome, try.outcome)
		}
	}
	if n := c.Exists(t.Context(), "sio:session:good").Val(); n != 1 {
		t.Error("a session that was not recovered is gone")
	}
}

// TestClientThatHasSeenNothingIsRecovered: what it missed is all that was said to it since it came.
func TestClientThatHasSeenNothingIsRecovered(t *testing.T) {
	server := testkit.StartRedis(t)
	a := openPlace(t, server.URL(), socketio.Recovery{})
	b := openPlace(t, server.URL(), socketio.Recovery{})
	b.io.Emit("before it came")
	for _, p := range []*place{a, b} { // delivered is not yet read: Redis may be slow to show it
		testkit.Until(t, "it to be read from the stream", func() bool {
			st := p.recovery().stream
			st.turn.Lock()
			defer st.turn.Unlock()
			return st.at != offset{}
		})
	}
	v := travel(t, a)
	v.ask("join", "room")
	stored(t, server.Addr(), func(s wire.Snapshot) bool { return len(s.Rooms) == 2 })
	id := v.ID()
	v.at.Store(new(string)) // nowhere
	v.mu.Lock()
	v.conn.Close()
	v.mu.Unlock()
	testkit.Until(t, "the socket to leave", func() bool { _, ok := a.io.Socket(id); return !ok })
	b.io.To("room").Emit("missed")
	b.settle()
	v.at.Store(&b.addr)
	v.want("connected true", "missed[]#")
	b.io.Emit("live")
	v.want("live[]#")
}

// TestSessionOfAClientThatLeavesWhileItIsStored is deleted all the same.
func TestSessionOfAClientThatLeavesWhileItIsStored(t *testing.T) {
	server := testkit.StartRedis(t)
	p := openPlace(t, server.URL(), socketio.Recovery{})
	server.Do("CLIENT", "PAUSE", "60000", "WRITE")
	v := travel(t, p)
	k := p.form.snapshots
	testkit.Until(t, "the session to be under way", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.busy && len(k.queue) == 0
	})
	id := v.ID()
	v.Disconnect()
	testkit.Until(t, "the socket to leave", func() bool { _, ok := p.io.Socket(id); return !ok && len(p.recovery().all()) == 0 })
	server.Do("CLIENT", "UNPAUSE")
	k.drain(linktest.Background(t))
	stored(t, server.Addr(), nil)
}

// TestSessionsAreStoredAnew: when Redis is found to have lost a part of the stream, it may have
// lost the sessions as well, or hold those that were stored since. Neither costs a client its
// connection.
func TestSessionsAreStoredAnew(t *testing.T) {
	server := testkit.StartRedis(t)
	p := openPlace(t, server.URL(), socketio.Recovery{})
	v := travel(t, p)
	k := p.form.snapshots
	k.drain(linktest.Background(t))
	for _, loses := range []bool{false, true, false} {
		if loses {
			server.Do("FLUSHALL")
		}
		k.storeAgain()
		k.drain(linktest.Background(t))
		if _, ok := p.io.Socket(v.ID()); !ok || len(p.recovery().all()) != 1 {
			t.Fatalf("flushed %v: the client is gone", loses)
		}
		if n := server.Do("EXISTS", p.recovery().key(p.recovery().all()[0].pid)); n != int64(1) {
			t.Errorf("flushed %v: the session is not there: %v", loses, n)
		}
	}
}
