package streams

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

type profile struct {
	ID    int64
	Most  uint64
	Power int64
	Since time.Time
	For   time.Duration
	Photo []byte
	Tags  []string
	Inner map[string]inner
}

type inner struct {
	At    time.Time
	Bytes []byte
	Next  *inner
}

var (
	profileKey = socketio.NewKey[profile]("profile")
	numberKey  = socketio.NewKey[int64]("number")
	bytesKey   = socketio.NewKey[[]byte]("bytes")
	timeKey    = socketio.NewKey[time.Time]("time")
	channelKey = socketio.NewLocal[chan int]()
)

// TestValuesSurviveAMove has a client come back at another server over a real Redis, twice.
func TestValuesSurviveAMove(t *testing.T) {
	at := time.Date(2026, 11, 21, 4, 0, 0, 123456789, time.UTC)
	was := profile{
		ID: math.MinInt64, Most: math.MaxUint64, Power: 1 << 60, Since: at, For: 1234567, Photo: []byte{0, 1, 255},
		Inner: map[string]inner{"a": {At: at, Bytes: []byte("x"), Next: &inner{Bytes: []byte{}}}},
	}
	set := func(s *socketio.Socket) error {
		channelKey.Set(s, make(chan int))
		return errors.Join(profileKey.Set(s, was), numberKey.Set(s, 1<<60+1), bytesKey.Set(s, []byte("bytes")), timeKey.Set(s, at))
	}
	server := testkit.StartRedis(t)
	open := func() *place {
		return openPlace(t, server.URL(), socketio.Recovery{}, func(io *socketio.Server) {
			io.Share(profileKey, numberKey, bytesKey, timeKey)
			io.On("set", set)
			io.OnRecover(func(_ context.Context, s *socketio.Socket) error {
				if _, ok := channelKey.Get(s); ok {
					t.Error("a local value has moved")
				}
				return nil
			})
			io.On("check", func(s *socketio.Socket) error {
				got, err := profileKey.Get(s)
				number, failure := numberKey.Get(s)
				bytes, other := bytesKey.Get(s)
				when, last := timeKey.Get(s)
				if err := errors.Join(err, failure, other, last); err != nil {
					return err
				}
				if !reflect.DeepEqual(got, was) || number != 1<<60+1 || string(bytes) != "bytes" || !when.Equal(at) {
					t.Errorf("got  %+v, %d, %q, %v\nwant %+v", got, number, bytes, when, was)
				}
				return nil
			})
		})
	}
	a, b := open(), open()
	v := travel(t, a)
	v.ask("set")
	a.keep(t)
	id := v.ID()
	for _, to := range []*place{b, a} {
		v.move(to)
		v.want("connected true")
		if v.ID() != id {
			t.Fatalf("came back as %s, was %s", v.ID(), id)
		}
		v.ask("check")
	}
	list, err := b.io.FetchSockets(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%d sockets, %v", len(list), err)
	}
	if got, err := profileKey.Get(list[0]); err != nil || !reflect.DeepEqual(got, was) {
		t.Errorf("fetched %+v, %v", got, err)
	}
}

// TestServersDisagreeAboutAKey: the client starts anew, and its snapshot isn't tried again.
func TestServersDisagreeAboutAKey(t *testing.T) {
	server := testkit.StartRedis(t)
	gone := make(chan string, 10)
	a := openPlace(t, server.URL(), socketio.Recovery{})
	b := openPlace(t, server.URL(), socketio.Recovery{}, func(io *socketio.Server) {
		io.Of("/").OnGone(func(s socketio.RemoteSocket) {
			text, err := joinedKey.Get(s)
			gone <- fmt.Sprint(s.ID, s.Rooms, text, err)
		})
		io.OnRecover(func(_ context.Context, s *socketio.Socket) error {
			if room, err := joinedKey.Get(s); err != nil || room != "room" {
				t.Errorf("%q, %v", room, err)
			}
			return errors.New("banned")
		})
	})
	v := travel(t, a)
	v.ask("join", "room")
	id := v.ID()
	a.keep(t)
	v.move(b)
	v.want("connected false")
	if v.ID() == id {
		t.Error("it has its old id")
	}
	if got, want := testkit.Receive(t, "the old socket's end", gone), fmt.Sprint(id, []string{id, "room"}, "room", nil); got != want {
		t.Errorf("gone %s, want %s", got, want)
	}
	if s, ok := b.io.Socket(v.ID()); !ok || s.Recovered() || len(s.Rooms()) != 1 {
		t.Errorf("%t, %+v", ok, s)
	}
}

// TestOnGoneTellsWhoDoesNotComeBack: one server does, once, and nobody does for a client that comes
// back elsewhere.
func TestOnGoneTellsWhoDoesNotComeBack(t *testing.T) {
	server := testkit.StartRedis(t)
	gone := make(chan string, 10)
	open := func(name string) *place {
		return openPlace(t, server.URL(), socketio.Recovery{MaxDisconnection: 4 * time.Second}, func(io *socketio.Server) {
			io.OnGone(func(s socketio.RemoteSocket) {
				room, err := joinedKey.Get(s)
				gone <- fmt.Sprint(name, s.ID, room, err)
			})
		})
	}
	a, b := open("a"), open("b")
	stays, leaves, says := travel(t, a), travel(t, a), travel(t, a)
	for _, v := range []*traveller{stays, leaves, says} {
		v.ask("join", "room")
	}
	a.keep(t)
	stays.move(b)
	stays.want("connected true")
	said, left := says.ID(), leaves.ID()
	says.Disconnect() // on its own will: at once
	if got, want := testkit.Receive(t, "news of a client that left", gone), fmt.Sprint("a", said, "room", nil); got != want {
		t.Errorf("gone %s, want %s", got, want)
	}
	nowhere := "127.0.0.1:1"
	leaves.at.Store(&nowhere)
	leaves.mu.Lock()
	leaves.conn.Close()
	leaves.mu.Unlock()
	if got, want := testkit.Receive(t, "news of a client that stayed away", gone), fmt.Sprint("a", left, "room", nil); got != want {
		t.Errorf("gone %s, want %s", got, want)
	}
	last := stays.ID()
	stays.Disconnect()
	if got, want := testkit.Receive(t, "news of the last client", gone), fmt.Sprint("b", last, "room", nil); got != want {
		t.Errorf("gone %s, want %s", got, want)
	}
	stored(t, server.Addr(), nil) // and nothing is left of any
}
