package emitter

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Classic is the form of servers with @socket.io/redis-adapter's createAdapter, or adapter.Classic.
type Classic struct {
	// Parser is the servers' Parser, if they have one: see adapter.Classic.
	Parser Parser
}

// Parser encodes the messages of the classic form: compressed, encrypted, or in another format than
// Node's msgpack. It is the servers' adapter.Parser. Both methods may be called concurrently.
type Parser interface {
	// Encode returns the bytes to publish for a message. They must not begin with '{' unless they
	// are JSON.
	Encode(msgpack []byte) ([]byte, error)
	// Decode returns the message of published bytes.
	Decode(published []byte) (msgpack []byte, err error)
}

func (Classic) validate() error { return nil }

func (c Classic) open(cfg Config) sender {
	return newPubsub(cfg, c, "/", cfg.Redis, newAudience(cfg, classic, false, true))
}

// pubsub is one namespace in the classic form.
type pubsub struct {
	cfg       Config // with defaults
	form      Classic
	namespace string
	channels  wire.Channels
	redis     commands
	audience  *audience
}

var _ sender = (*pubsub)(nil)

func (p *pubsub) of(namespace string) sender {
	return newPubsub(p.cfg, p.form, namespace, p.redis, p.audience)
}

func (p *pubsub) via(c commands) sender { return newPubsub(p.cfg, p.form, p.namespace, c, nil) }

func newPubsub(cfg Config, form Classic, namespace string, c commands, a *audience) *pubsub {
	return &pubsub{cfg, form, namespace, wire.NewChannels(cfg.Key, namespace), c, a}
}

// broadcast sends an event to clients.
func (p *pubsub) broadcast(ctx context.Context, o wire.Options, event string, args []any) error {
	channel := p.channels.Main
	if len(o.Rooms) == 1 {
		channel = p.channels.Room(o.Rooms[0])
	}
	msg, err := appendBroadcast(p.namespace, o, event, args)
	if msg, err = wire.Parsed(p.form.Parser, msg, err); err != nil {
		return err
	}
	return p.publish(ctx, channel, msg)
}

// order sends what servers carry out. Only server-side events say whose they are.
func (p *pubsub) order(ctx context.Context, q wire.Request) error {
	if q.Type == wire.ServerSideEmit {
		q.UID = senderUID
	}
	msg, err := wire.AppendRequest(nil, q)
	if msg, err = wire.Parsed(p.form.Parser, msg, err); err != nil {
		return err
	}
	return p.publish(ctx, p.channels.Request, msg)
}

// publish looks for servers if Redis found no subscriber.
func (p *pubsub) publish(ctx context.Context, channel string, msg []byte) error {
	heard, err := p.cfg.send(ctx, channel, msg, p.redis.Publish)
	if err == nil && heard == 0 {
		p.audience.look(ctx)
	}
	return err
}

// send has Redis carry a message, by PUBLISH or SPUBLISH, and returns Redis's count of subscribers.
func (c Config) send(ctx context.Context, channel string, msg []byte,
	publish func(ctx context.Context, channel string, msg any) *redis.IntCmd) (heard int64, err error) {
	if len(msg) > c.MaxMessageBytes {
		return 0, ErrTooLarge
	}
	heard, err = publish(ctx, channel, msg).Result()
	return heard, failure(ctx, "publish on "+channel, err)
}

// appendBroadcast makes ["emitter", {type, data, nsp}, {rooms, flags, except}]. The options of
// servers have another order, so wire.AppendBroadcast does not fit; the whole message is written as
// JSON around the event, in one piece, and goes through the transcoder like any event.
func appendBroadcast(namespace string, o wire.Options, event string, args []any) ([]byte, error) {
	text := append(make([]byte, 0, 512), `["`+senderUID+`",{"type":2,"data":`...)
	p, err := packet.EncodeEventOn(text, event, args...)
	if err != nil {
		return nil, err
	}
	text = wire.AppendString(append(p.JSON, `,"nsp":`...), namespace)
	text = appendRooms(append(text, `},{"rooms":`...), o.Rooms)
	text = appendFlags(append(text, `,"flags":`...), o.Flags)
	text = appendRooms(append(text, `,"except":`...), o.Except)
	text = append(text, `}]`...)
	size := len(text)
	for _, a := range p.Attachments {
		size += len(a)
	}
	p.JSON = text
	return wire.AppendPayload(make([]byte, 0, size), p)
}

func appendRooms(dst []byte, rooms []string) []byte {
	dst = append(dst, '[')
	for i, room := range rooms {
		if i > 0 {
			dst = append(dst, ',')
		}
		if n, ok := packet.RoomNumber(room); ok {
			dst = strconv.AppendInt(dst, n, 10)
		} else {
			dst = wire.AppendString(dst, room)
		}
	}
	return append(dst, ']')
}

func appendFlags(dst []byte, f wire.Flags) []byte {
	dst = append(dst, '{')
	if f.Volatile {
		dst = append(dst, `"volatile":true`...)
		if f.Compress != nil {
			dst = append(dst, ',')
		}
	}
	if f.Compress != nil {
		dst = strconv.AppendBool(append(dst, `"compress":`...), *f.Compress)
	}
	return append(dst, '}')
}
