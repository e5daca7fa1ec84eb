package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

// onSocket calls f with a connected socket of a server that shares keys.
func onSocket(t *testing.T, cfg socketio.Config, keys []socketio.AnyKey, f func(s *socketio.Socket)) {
	t.Helper()
	app := func(io *socketio.Server) {
		io.Share(keys...)
		io.On("test", func(s *socketio.Socket) error { f(s); return nil })
	}
	serve(t, cfg, app, func(t *testing.T, h *peer.Host) {
		p := h.Dial("")
		p.Send("0")
		p.Next()
		p.Send(`21["test"]`)
		p.Want("31[]")
	})
}

type account struct {
	ID       int64
	Serial   uint64
	Since    time.Time
	Key      []byte
	Roles    []string
	Limits   map[string]time.Duration
	Manager  *account `json:",omitempty"`
	Verified bool
}

func TestKeyReturnsWhatItWasGiven(t *testing.T) {
	zone := time.FixedZone("", -5*3600)
	was := account{
		ID: math.MinInt64, Serial: math.MaxUint64, Since: time.Date(2026, 1, 2, 3, 4, 5, 6, zone), Key: []byte{0, 255},
		Roles: []string{}, Limits: map[string]time.Duration{"a": 1234567, "b": time.Hour},
		Manager: &account{ID: 1 << 60}, Verified: true,
	}
	accountKey := socketio.NewKey[account]("account")
	pointerKey := socketio.NewKey[*account]("pointer")
	textKey := socketio.NewKey[string]("text")
	timeKey := socketio.NewKey[time.Time]("time")
	rawKey := socketio.NewKey[json.RawMessage]("raw")
	onSocket(t, socketio.Config{}, []socketio.AnyKey{accountKey, pointerKey, textKey, timeKey, rawKey}, func(s *socketio.Socket) {
		if _, err := accountKey.Get(s); !errors.Is(err, socketio.ErrNoValue) {
			t.Errorf("before Set: %v", err)
		}
		key := was.Key
		err := errors.Join(accountKey.Set(s, was), pointerKey.Set(s, &was), textKey.Set(s, "\x00é"), timeKey.Set(s, was.Since),
			rawKey.Set(s, json.RawMessage(`{"a": [1, 2.50]}`)))
		if err == nil || !strings.Contains(err.Error(), `key "raw": number 2.50`) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("Set: %v", err)
		}
		key[0] = 1 // the caller's slice
		was.Key = []byte{0, 255}
		got, err := accountKey.Get(s)
		if err != nil || !got.Since.Equal(was.Since) || got.Since.Format(time.RFC3339Nano) != was.Since.Format(time.RFC3339Nano) {
			t.Errorf("got %v, %v, want %v", got.Since, err, was.Since)
		}
		if got.Since = was.Since; !reflect.DeepEqual(got, was) {
			t.Errorf("got  %+v\nwant %+v", got, was)
		}
		got.Roles, got.Limits["a"] = append(got.Roles, "admin"), 0 // the app's copy
		p, err := pointerKey.Get(s)
		if err != nil || p == &was || len(p.Roles) != 0 || p.Limits["a"] != 1234567 {
			t.Errorf("%+v, %v", p, err)
		}
		if again, _ := accountKey.Get(s); len(again.Roles) != 0 || again.Limits["a"] != 1234567 {
			t.Errorf("changed in place: %+v", again)
		}
		if text, err := textKey.Get(s); text != "\x00é" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		if at, err := timeKey.Get(s); !at.Equal(was.Since) || err != nil {
			t.Errorf("%v, %v", at, err)
		}
		textKey.Delete(s)
		if text, err := textKey.Get(s); text != "" || !errors.Is(err, socketio.ErrNoValue) || err.Error() != `socketio: key "text": no value` {
			t.Errorf("after Delete: %q, %v", text, err)
		}
	})
}

// changing has text that it doesn't read.
type changing struct{ n int }

func (c changing) MarshalJSON() ([]byte, error)  { return json.Marshal(c.n) }
func (c *changing) UnmarshalJSON(b []byte) error { return json.Unmarshal([]byte("7"), &c.n) }

func TestKeyRefusesWhatWouldChange(t *testing.T) {
	anyKey := socketio.NewKey[any]("any")
	other := socketio.NewKey[string]("other")
	keys := []socketio.AnyKey{anyKey, other}
	hidden := socketio.NewKey[struct {
		A int
		b int
	}]("hidden")
	floatKey := socketio.NewKey[float64]("float")
	durationKey := socketio.NewKey[time.Duration]("duration")
	changingKey := socketio.NewKey[[]changing]("changing")
	bigKey := socketio.NewKey[*big.Int]("big")
	foreign := socketio.NewKey[int]("foreign")
	keys = append(keys, hidden, floatKey, durationKey, changingKey, bigKey)
	onSocket(t, socketio.Config{MaxDataBytes: 1000}, keys, func(s *socketio.Socket) {
		if err := errors.Join(other.Set(s, "stays"), anyKey.Set(s, []any{1.5, "x", nil, true, []byte("b")}), bigKey.Set(s, big.NewInt(math.MaxInt64))); err != nil {
			t.Error(err)
		}
		ring := map[string]any{}
		ring["self"] = ring
		deep := any(1)
		for range 600 {
			deep = []any{deep}
		}
		for name, err := range map[string]error{
			"chan":        anyKey.Set(s, make(chan int)),
			"func":        anyKey.Set(s, map[string]any{"f": func() {}}),
			"limiter":     anyKey.Set(s, rate.NewLimiter(1, 1)),
			"ring":        anyKey.Set(s, ring),
			"deep":        anyKey.Set(s, deep),
			"big integer": anyKey.Set(s, int64(1<<53+1)),
			"placeholder": anyKey.Set(s, map[string]any{"_placeholder": true, "num": 0, "b": []byte("x")}),
			"text":        other.Set(s, "\xff"),
			"nested text": anyKey.Set(s, []string{"\xff"}),
			"hidden": hidden.Set(s, struct {
				A int
				b int
			}{1, 2}),
			"NaN":       floatKey.Set(s, math.NaN()),
			"infinity":  floatKey.Set(s, math.Inf(-1)),
			"duration":  durationKey.Set(s, math.MaxInt64),
			"changing":  changingKey.Set(s, []changing{{1}}),
			"too large": other.Set(s, strings.Repeat("x", 1000)),
			"too big":   bigKey.Set(s, new(big.Int).Lsh(big.NewInt(3), 70)),
			"foreign":   foreign.Set(s, 1),
		} {
			if err == nil || !strings.HasPrefix(err.Error(), `socketio: key "`) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if text, err := other.Get(s); text != "stays" || err != nil {
			t.Errorf("another key lost its value: %q, %v", text, err)
		}
		if _, err := foreign.Get(s); err == nil || errors.Is(err, socketio.ErrNoValue) {
			t.Errorf("a key that isn't shared: %v", err)
		}
		if big, err := bigKey.Get(s); err != nil || big.Int64() != math.MaxInt64 {
			t.Errorf("%v, %v", big, err)
		}
	})
}

func TestTypesWithoutAFormAreNoKeys(t *testing.T) {
	for name, f := range map[string]func(){
		"chan":      func() { socketio.NewKey[chan int]("k") },
		"func":      func() { socketio.NewKey[struct{ F func() }]("k") },
		"complex":   func() { socketio.NewKey[[]complex128]("k") },
		"limiter":   func() { socketio.NewKey[*rate.Limiter]("k") },
		"interface": func() { socketio.NewKey[map[string]error]("k") },
		"no name":   func() { socketio.NewKey[int]("") },
		"proto":     func() { socketio.NewKey[int]("__proto__") },
		"twice": func() {
			io, err := socketio.New(socketio.Config{})
			if err != nil {
				t.Fatal(err)
			}
			io.Share(socketio.NewKey[int]("k"))
			io.Share(socketio.NewKey[string]("k"))
		},
	} {
		func() {
			defer func() {
				if text, ok := recover().(string); !ok || !strings.HasPrefix(text, "socketio: ") {
					t.Errorf("%s: panic %q", name, text)
				}
			}()
			f()
			t.Errorf("%s: no panic", name)
		}()
	}
	type tree struct{ Left, Right *tree } // not endless
	socketio.NewKey[tree]("tree")
}

func TestLocalValues(t *testing.T) {
	channel, other := socketio.NewLocal[chan int](), socketio.NewLocal[chan int]()
	failure := socketio.NewLocal[error]()
	onSocket(t, socketio.Config{}, nil, func(s *socketio.Socket) {
		if _, ok := channel.Get(s); ok {
			t.Error("a value before Set")
		}
		c := make(chan int)
		channel.Set(s, c)
		failure.Set(s, nil)
		if got, ok := channel.Get(s); !ok || got != c {
			t.Errorf("%v, %t", got, ok)
		}
		if _, ok := other.Get(s); ok {
			t.Error("another Local has the value")
		}
		if err, ok := failure.Get(s); err != nil || !ok {
			t.Errorf("nil interface: %v, %t", err, ok)
		}
		channel.Delete(s)
		if _, ok := channel.Get(s); ok {
			t.Error("a value after Delete")
		}
	})
}

// recovering is an app on two servers of a Hub whose clients come back to the other server.
type recovering struct {
	version    func(*socketio.Server) // what differs on the second server
	middleware int
}

var (
	accountKey = socketio.NewKey[account]("account")
	banKey     = socketio.NewKey[bool]("banned")
	limiterKey = socketio.NewLocal[*rate.Limiter]()
)

func (r *recovering) app(io *socketio.Server) {
	io.Use(func(_ context.Context, s *socketio.Socket) error {
		r.middleware++
		limiterKey.Set(s, rate.NewLimiter(1, 1))
		return nil
	})
	io.OnConnect(func(s *socketio.Socket) {
		_, limited := limiterKey.Get(s)
		s.Emit("connected", s.Recovered(), limited, len(s.Rooms()))
	})
}

// move connects a client, lets set prepare its socket, and has the client come back elsewhere.
func (r *recovering) move(t *testing.T, set func(s *socketio.Socket) error, test func(t *testing.T, b *peer.Host, q *peer.Peer, sid, pid string)) {
	t.Helper()
	onHub(t, socketio.Recovery{}, func(t *testing.T, a, b *peer.Host) {
		a.IO.Share(accountKey, banKey)
		a.IO.On("set", set)
		r.app(a.IO)
		r.version(b.IO)
		r.app(b.IO)
		p := a.Dial("")
		p.Send("0")
		sid, pid := session(t, p)
		p.Want(`2["connected",false,true,1,"hub-1"]`)
		p.Send(`21["set"]`)
		p.Want("31[]")
		p.Cut()
		synctest.Wait()
		q := comeBack(b, pid, "hub-1")
		test(t, b, q, sid, pid)
	})
}

func TestRecoveredDataKeepsItsTypes(t *testing.T) {
	was := account{ID: math.MaxInt64, Since: time.Unix(1, 2).UTC(), Key: []byte("key"), Roles: []string{"admin"}}
	r := &recovering{version: func(io *socketio.Server) {
		io.Share(accountKey, banKey)
		io.OnRecover(func(_ context.Context, s *socketio.Socket) error {
			got, err := accountKey.Get(s)
			if err != nil || !reflect.DeepEqual(got, was) {
				t.Errorf("recovered %+v, %v, want %+v", got, err, was)
			}
			if _, ok := limiterKey.Get(s); ok || len(s.Rooms()) != 2 || !s.Recovered() || s.Connected() {
				t.Errorf("a local value %t, rooms %q, recovered %t, connected %t", ok, s.Rooms(), s.Recovered(), s.Connected())
			}
			limiterKey.Set(s, rate.NewLimiter(1, 1))
			return err
		})
	}}
	set := func(s *socketio.Socket) error { s.Join("room"); return accountKey.Set(s, was) }
	r.move(t, set, func(t *testing.T, b *peer.Host, q *peer.Peer, sid, pid string) {
		if again, same := session(t, q); again != sid || same != pid {
			t.Errorf("came back as %s, was %s", again, sid)
		}
		q.Want(`2["connected",true,true,2,"hub-2"]`)
		if r.middleware != 1 {
			t.Errorf("the middleware ran %d times", r.middleware)
		}
	})
}

// TestUnfitDataIsNotRecovered has a second server with other ideas of a socket's data.
func TestUnfitDataIsNotRecovered(t *testing.T) {
	refusal := errors.New("banned meanwhile")
	for name, version := range map[string]func(io *socketio.Server){
		"another type": func(io *socketio.Server) { io.Share(socketio.NewKey[string]("banned")) },
		"OnRecover": func(io *socketio.Server) {
			io.Share(banKey)
			io.OnRecover(func(_ context.Context, s *socketio.Socket) error {
				s.Join("of a socket that was refused")
				s.On("x", func() {})
				return refusal
			})
		},
		"a panic": func(io *socketio.Server) {
			io.Share(banKey)
			io.OnRecover(func(context.Context, *socketio.Socket) error { panic(refusal) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recovering{version: version}
			set := func(s *socketio.Socket) error { s.Join("room"); return banKey.Set(s, true) }
			r.move(t, set, func(t *testing.T, b *peer.Host, q *peer.Peer, sid, pid string) {
				again, other := session(t, q)
				if again == sid || other == pid {
					t.Errorf("came back as %s with %s", again, other)
				}
				q.Want(`2["connected",false,true,1,"hub-2"]`)
				if s, ok := b.IO.Socket(again); !ok || s.Recovered() {
					t.Errorf("%t, %+v", ok, s)
				} else if banned, err := banKey.Get(s); banned || err == nil {
					t.Errorf("it has a value: %t, %v", banned, err)
				}
				if rooms, err := b.IO.AllRooms(t.Context()); err != nil || len(rooms) != 1 || rooms[0] != again {
					t.Errorf("rooms %q, %v", rooms, err)
				}
				if r.middleware != 2 {
					t.Errorf("the middleware ran %d times", r.middleware)
				}
				third := comeBack(b, pid, "hub-1") // the snapshot isn't tried again and again
				if again, other := session(t, third); again == sid || other == pid {
					t.Error("recovered the second time")
				}
			})
		})
	}
}

// TestUnknownMembersMoveOn: an older version of the app keeps what it doesn't know.
func TestUnknownMembersMoveOn(t *testing.T) {
	r := &recovering{version: func(*socketio.Server) {}}
	set := func(s *socketio.Socket) error { return accountKey.Set(s, account{ID: 1 << 60, Key: []byte("k")}) }
	r.move(t, set, func(t *testing.T, b *peer.Host, q *peer.Peer, sid, _ string) {
		if again, _ := session(t, q); again != sid {
			t.Fatal("not recovered")
		}
		list, err := b.IO.FetchSockets(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("%d sockets, %v", len(list), err)
		}
		if got, err := accountKey.Get(list[0]); err != nil || got.ID != 1<<60 || string(got.Key) != "k" {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := socketio.NewKey[int]("account").Get(list[0]); err == nil || errors.Is(err, socketio.ErrNoValue) {
			t.Errorf("as another type: %v", err)
		}
	})
}

func TestTooMuchStoredData(t *testing.T) {
	r := &recovering{version: func(io *socketio.Server) {}}
	set := func(s *socketio.Socket) error {
		return accountKey.Set(s, account{Key: make([]byte, 60<<10)})
	}
	r.move(t, set, func(t *testing.T, _ *peer.Host, q *peer.Peer, sid, _ string) {
		if again, _ := session(t, q); again != sid { // as much as may be
			t.Error("not recovered")
		}
	})
}

// TestOnGone has one client that leaves, one that comes back, and one that doesn't.
func TestOnGone(t *testing.T) {
	name := socketio.NewKey[string]("name")
	setUp := func(io *socketio.Server, gone chan string) {
		io.Share(name)
		io.On("name", func(s *socketio.Socket, text string) error { s.Join("room"); return name.Set(s, text) })
		io.On("hi", func(s *socketio.Socket) error { return s.Emit("hi") })
		io.OnGone(func(s socketio.RemoteSocket) {
			text, err := name.Get(s)
			gone <- fmt.Sprint(s.ID, s.Rooms, text, err)
		})
		io.OnGone(func(socketio.RemoteSocket) { panic("contained") })
	}
	arrive := func(t *testing.T, h *peer.Host, text string) (p *peer.Peer, sid, pid, offset string) {
		p = h.Dial("")
		p.Send("0")
		sid, pid = session(t, p)
		p.Send(`21["name","` + text + `"]`)
		p.Want("31[]")
		p.Send(`2["hi"]`)
		_, offset, _ = strings.Cut(p.Next(), `["hi","`)
		return p, sid, pid, strings.TrimSuffix(offset, `"]`)
	}
	test := func(t *testing.T, a, b *peer.Host) {
		gone := make(chan string, 10)
		setUp(a.IO, gone)
		if b != a {
			setUp(b.IO, gone)
		}
		leaver, left, _, _ := arrive(t, a, "leaver")
		leaver.Send("1")
		if got, want := <-gone, fmt.Sprint(left, []string{left, "room"}, "leaver", nil); got != want {
			t.Errorf("gone %s, want %s", got, want)
		}
		away, lost, _, _ := arrive(t, a, "away")
		stayer, sid, pid, offset := arrive(t, a, "stayer")
		away.Cut()
		stayer.Cut()
		synctest.Wait()
		time.Sleep(time.Minute)
		back := comeBack(b, pid, offset)
		if again, _ := session(t, back); again != sid {
			t.Errorf("not recovered: %s, was %s", again, sid)
		}
		synctest.Wait()
		if len(gone) > 0 {
			t.Errorf("gone too early: %s", <-gone)
		}
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if got, want := <-gone, fmt.Sprint(lost, []string{lost, "room"}, "away", nil); got != want || len(gone) > 0 {
			t.Errorf("gone %s and %d more, want %s", got, len(gone), want)
		}
		back.Send("1")
		if got, want := <-gone, fmt.Sprint(sid, []string{sid, "room"}, "stayer", nil); got != want {
			t.Errorf("gone %s, want %s", got, want)
		}
	}
	recovery := socketio.Recovery{MaxDisconnection: 2 * time.Minute}
	t.Run("one server", func(t *testing.T) {
		serve(t, socketio.Config{Recovery: &recovery}, func(*socketio.Server) {}, func(t *testing.T, h *peer.Host) { test(t, h, h) })
	})
	t.Run("two servers", func(t *testing.T) { onHub(t, recovery, test) })
	t.Run("without recovery", func(t *testing.T) {
		gone := make(chan string, 10)
		serve(t, socketio.Config{}, func(io *socketio.Server) { setUp(io, gone) }, func(t *testing.T, h *peer.Host) {
			p := h.Dial("")
			p.Send("0")
			p.Next()
			p.Cut()
			if got := <-gone; !strings.Contains(got, "no value") {
				t.Errorf("gone %s", got)
			}
		})
	})
}
