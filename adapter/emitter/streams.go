package emitter

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Streams is the form of servers with @socket.io/redis-streams-adapter, or adapter.Streams. Clients
// that are away get the events when they come back, if their server has recovery. In this form,
// Config.Key only serves to warn that there are no servers.
type Streams struct {
	// StreamName and StreamCount are those of the servers. Node's emitter knows only one stream.
	// Zero values mean Config.Key and 1.
	StreamName  string
	StreamCount int
	// MaxLen is the approximate number of entries that a stream keeps, and must be that of the
	// servers. Zero means 10,000.
	MaxLen int
}

func (f Streams) validate() error {
	if min(f.StreamCount, f.MaxLen) < 0 {
		return errors.New("emitter: StreamCount and MaxLen must not be negative")
	}
	return nil
}

func (f Streams) open(cfg Config) sender {
	f.StreamName, f.StreamCount, f.MaxLen = cmp.Or(f.StreamName, cfg.Key), cmp.Or(f.StreamCount, 1), cmp.Or(f.MaxLen, 10_000)
	return newStreams(cfg, f, "/", cfg.Redis, newAudience(cfg, "redis-streams", true, true))
}

// streams is one namespace in the form of streams.
type streams struct {
	cfg       Config // with defaults
	form      Streams
	namespace string
	stream    string
	redis     commands
	audience  *audience
}

func newStreams(cfg Config, form Streams, namespace string, c commands, a *audience) *streams {
	return &streams{cfg, form, namespace, wire.Streams{Name: form.StreamName, Count: form.StreamCount}.Of(namespace), c, a}
}

func (s *streams) of(namespace string) sender {
	return newStreams(s.cfg, s.form, namespace, s.redis, s.audience)
}

func (s *streams) via(c commands) sender {
	return newStreams(s.cfg, s.form, s.namespace, c, nil)
}

func (s *streams) broadcast(ctx context.Context, o wire.Options, event string, args []any) error {
	data, err := appendStreamBroadcast(s.namespace, o, event, args)
	if err != nil {
		return err
	}
	kind, _ := wire.EntryType(wire.Request{Type: wire.BroadcastWithAck})
	return s.add(ctx, kind, data)
}

func (s *streams) order(ctx context.Context, q wire.Request) error {
	kind, err := wire.EntryType(q)
	if err != nil {
		return err
	}
	data, err := wire.AppendEntryData(nil, q)
	if err != nil {
		return err
	}
	return s.add(ctx, kind, data)
}

func (s *streams) add(ctx context.Context, kind string, data []byte) error {
	if len(data) > s.cfg.MaxMessageBytes {
		return ErrTooLarge
	}
	err := s.redis.Do(ctx, "XADD", s.stream, "MAXLEN", "~", s.form.MaxLen, "*",
		wire.FieldUID, senderUID, wire.FieldNamespace, s.namespace, wire.FieldType, kind, wire.FieldData, data).Err()
	if err == nil {
		s.audience.look(ctx) // Redis doesn't say who reads a stream
	}
	return failure(ctx, "add to "+s.stream, err)
}

// appendStreamBroadcast makes {packet: {type, data, nsp}, opts: {rooms, flags, except}}, in the
// order of Node's emitter: as JSON, and where there is binary as msgpack in base64.
func appendStreamBroadcast(namespace string, o wire.Options, event string, args []any) ([]byte, error) {
	text := append(make([]byte, 0, 512), `{"packet":{"type":2,"data":`...)
	p, err := packet.EncodeEventOn(text, event, args...)
	if err != nil {
		return nil, err
	}
	text = wire.AppendString(append(p.JSON, `,"nsp":`...), namespace)
	text = appendRooms(append(text, `},"opts":{"rooms":`...), o.Rooms)
	text = appendFlags(append(text, `,"flags":`...), o.Flags)
	text = appendRooms(append(text, `,"except":`...), o.Except)
	text = append(text, `}}`...)
	if len(p.Attachments) == 0 {
		return text, nil
	}
	p.JSON = text
	msg, err := wire.AppendPayload(nil, p)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, msg), nil
}
