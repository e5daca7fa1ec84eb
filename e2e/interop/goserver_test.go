//go:build e2e

package interop

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// goPeer is a server of ours, in this process.
type goPeer struct {
	called string
	io     *socketio.Server
	http   *httptest.Server

	mu     sync.Mutex // guards events
	events []json.RawMessage
}

func startGoServer(t *testing.T, name string, transport transport, redis, key string) *goPeer {
	t.Helper()
	cluster, err := transport.open(redis, key)
	if err != nil {
		t.Fatal(err)
	}
	io, err := socketio.New(socketio.Config{Adapter: cluster, MaxHTTPBufferSize: 1e8, MaxPendingBytes: 1e8})
	if err != nil {
		t.Fatal(err)
	}
	p := &goPeer{called: name, io: io}
	io.Share(serverKey, clientKey, sinceKey, listKey, pictureKey)
	io.OnConnect(p.welcome)
	io.OnServer("tell", func(args ...socketio.Value) { p.note(t, args) })
	io.OnServer("ask", func(args ...socketio.Value) any {
		p.note(t, args)
		return struct {
			Server string           `json:"server"`
			Got    []socketio.Value `json:"got"`
		}{name, args}
	})
	p.http = testkit.Serve(t, io)
	return p
}

// The data of each socket, as Node's servers here set it.
var (
	serverKey  = socketio.NewKey[string]("server")
	clientKey  = socketio.NewKey[string]("client")
	sinceKey   = socketio.NewKey[time.Time]("since")
	listKey    = socketio.NewKey[[]any]("list")
	pictureKey = socketio.NewKey[[]byte]("picture")
)

// welcome does with a client what Node's servers here do.
func (p *goPeer) welcome(s *socketio.Socket) {
	var auth struct {
		Server, Client string
		Rooms          []any
	}
	if err := s.Handshake().DecodeAuth(&auth); err != nil {
		s.Disconnect(true)
		return
	}
	err := errors.Join(serverKey.Set(s, auth.Server), clientKey.Set(s, auth.Client), sinceKey.Set(s, time.UnixMilli(0).UTC()),
		listKey.Set(s, []any{1, "two", nil}), pictureKey.Set(s, []byte{1, 2, 0xff}))
	if err != nil {
		panic(err)
	}
	s.Join(append(roomNames(auth.Rooms), roomOf(p.called))...)
}

func (p *goPeer) note(t *testing.T, args []socketio.Value) {
	text := digest(t, args)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, text)
}

func (p *goPeer) name() string { return p.called }
func (p *goPeer) url() string  { return p.http.URL }

// roomNames names rooms as Go does.
func roomNames(rooms []any) (names []string) {
	for _, room := range rooms {
		switch room := room.(type) {
		case int:
			names = append(names, packet.NumberRoom(int64(room)))
		case float64:
			names = append(names, packet.NumberRoom(int64(room)))
		default:
			names = append(names, room.(string))
		}
	}
	return names
}

// rooms are names of Go as JavaScript has them.
func rooms(names []string) []any {
	rooms := make([]any, len(names))
	for i, name := range names {
		rooms[i] = name
		if n, ok := packet.RoomNumber(name); ok {
			rooms[i] = float64(n)
		}
	}
	return rooms
}

func (p *goPeer) operator(c call) socketio.Operator {
	o := p.io.To()
	if c.From != "" {
		o = p.socket(c.From).Broadcast()
	}
	o = o.To(roomNames(c.Rooms)...).Except(roomNames(c.Except)...)
	if c.Volatile {
		o = o.Volatile()
	}
	if c.Compress != nil {
		o = o.Compress(*c.Compress)
	}
	if c.Local {
		o = o.Local()
	}
	if c.Timeout > 0 {
		o = o.Timeout(time.Duration(c.Timeout) * time.Millisecond)
	}
	return o
}

func (p *goPeer) socket(client string) *socketio.Socket {
	for s := range p.io.Sockets() {
		if name, err := clientKey.Get(s); err == nil && name == client {
			return s
		}
	}
	return nil
}

func (p *goPeer) act(t *testing.T, c call, args payload) (out outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), answersWithin*time.Millisecond)
	defer cancel()
	if strings.HasPrefix(c.Do, "remote ") {
		return p.actRemotely(ctx, t, c, args)
	}
	var err error
	var answers []any
	o := p.operator(c)
	switch c.Do {
	case "emit":
		err = o.Emit(c.Event, args.golang...)
	case "ask":
		var got []socketio.Args
		got, err = o.EmitWithAck(ctx, c.Event, args.golang...)
		answers = firstValues(got)
	case "fetch":
		var sockets []socketio.RemoteSocket
		sockets, err = o.FetchSockets(ctx)
		for _, s := range sockets {
			var data socketio.Value
			err = errors.Join(err, s.DecodeData(&data))
			answers = append(answers, fields{"id": s.ID, "handshake": s.Handshake, "rooms": rooms(s.Rooms), "data": data})
		}
	case "join":
		err = o.SocketsJoin(roomNames(c.Join)...)
	case "leave":
		err = o.SocketsLeave(roomNames(c.Join)...)
	case "disconnect":
		err = o.DisconnectSockets(c.Close)
	case "serverSideEmit":
		err = p.io.ServerSideEmit(c.Event, args.golang...)
	case "serverSideAsk":
		var got []socketio.Args
		got, err = p.io.ServerSideEmitWithAck(ctx, c.Event, args.golang...)
		answers = firstValues(got)
	case "allRooms":
		var names []string
		names, err = p.io.AllRooms(ctx)
		answers = []any{rooms(names)}
	case "serverCount":
		var n int
		n, err = p.io.ServerCount(ctx)
		answers = []any{n}
	default:
		err = fmt.Errorf("no operation %s", c.Do)
	}
	return p.outcome(t, answers, err)
}

// actRemotely does an operation on each socket that is found.
func (p *goPeer) actRemotely(ctx context.Context, t *testing.T, c call, args payload) (out outcome) {
	t.Helper()
	sockets, err := p.operator(c).FetchSockets(ctx)
	var answers []any
	for _, s := range sockets {
		switch c.Do {
		case "remote emit":
			err = errors.Join(err, s.Emit(c.Event, args.golang...))
		case "remote ask":
			answer, failure := s.EmitWithAck(ctx, c.Event, args.golang...)
			err = errors.Join(err, failure)
			answers = append(answers, answer.Value(0))
		case "remote join":
			err = errors.Join(err, s.Join(roomNames(c.Join)...))
		case "remote leave":
			err = errors.Join(err, s.Leave(roomNames(c.Join)...))
		case "remote disconnect":
			err = errors.Join(err, s.Disconnect(c.Close))
		default:
			err = fmt.Errorf("no operation %s", c.Do)
		}
	}
	return p.outcome(t, answers, err)
}

func (p *goPeer) outcome(t *testing.T, answers []any, err error) (out outcome) {
	t.Helper()
	if err != nil {
		out.Error = err.Error()
	}
	for _, a := range answers {
		out.Answers = append(out.Answers, digest(t, a))
	}
	return out
}

func firstValues(answers []socketio.Args) (values []any) {
	for _, a := range answers {
		values = append(values, a.Value(0))
	}
	return values
}

func (p *goPeer) inspect(t *testing.T) state {
	t.Helper()
	p.mu.Lock()
	s := state{Events: p.events, Rooms: map[string][]any{}}
	p.events = nil
	p.mu.Unlock()
	for socket := range p.io.Sockets() {
		if client, err := clientKey.Get(socket); err == nil {
			s.Rooms[client] = rooms(socket.Rooms())
		}
	}
	return s
}

// goEmitterPeer is the emitter of ours.
type goEmitterPeer struct{ *emitter.Emitter }

func startGoEmitter(t *testing.T, transport transport, url, key string) goEmitterPeer {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	e, err := transport.emitter(client, key)
	if err != nil {
		t.Fatal(err)
	}
	return goEmitterPeer{e}
}

func (p goEmitterPeer) act(t *testing.T, c call, args payload) (out outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), answersWithin*time.Millisecond)
	defer cancel()
	o := p.To(roomNames(c.Rooms)...).Except(roomNames(c.Except)...)
	if c.Volatile {
		o = o.Volatile()
	}
	if c.Compress != nil {
		o = o.Compress(*c.Compress)
	}
	var err error
	switch c.Do {
	case "emit":
		err = o.Emit(ctx, c.Event, args.golang...)
	case "join":
		err = o.SocketsJoin(ctx, roomNames(c.Join)...)
	case "leave":
		err = o.SocketsLeave(ctx, roomNames(c.Join)...)
	case "disconnect":
		err = o.DisconnectSockets(ctx, c.Close)
	case "serverSideEmit":
		err = p.ServerSideEmit(ctx, c.Event, args.golang...)
	default:
		err = fmt.Errorf("no operation %s", c.Do)
	}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

// digest writes a value as digest in e2e/js/values.mjs does.
func digest(t *testing.T, v any) json.RawMessage {
	t.Helper()
	p, err := packet.EncodeArgs(v)
	if err != nil {
		t.Error(err)
		return nil
	}
	args, err := p.Args()
	if err != nil {
		t.Error(err)
		return nil
	}
	var plain any
	if err := args.Decode(0, &plain); err != nil {
		t.Error(err)
	}
	text, err := json.Marshal(short(plain))
	if err != nil {
		t.Error(err)
	}
	return text
}

func short(v any) any {
	switch v := v.(type) {
	case []byte:
		return fields{"$bin": short(base64.StdEncoding.EncodeToString(v))}
	case string:
		if len(v) > 1000 {
			return fmt.Sprintf("%d bytes %x", len(v), sha256.Sum256([]byte(v)))
		}
	case []any:
		if len(v) > 1000 {
			return fmt.Sprint(len(v), " items")
		}
		list := slices.Clone(v)
		for i := range list {
			list[i] = short(list[i])
		}
		return list
	case fields:
		object := fields{}
		for k, x := range v {
			object[k] = short(x)
		}
		return object
	}
	return v
}
