package emitter

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// StreamsConfig configures an emitter to servers with the adapter over streams. The zero value of a
// field means its default.
type StreamsConfig struct {
	// Config is what all forms have in common. Key is Node's option channelPrefix. The emitter only
	// looks there for servers, before it warns that there are none.
	Config
	// StreamName and StreamCount are those of the servers. Node's emitter knows only one stream.
	// Zero values mean "socket.io" and 1.
	StreamName  string
	StreamCount int
	// MaxLen is the approximate number of entries that a stream keeps, and must be that of the
	// servers. Zero means 10,000.
	MaxLen int
}

// NewStreams makes an Emitter for the main namespace, "/", that speaks like
// @socket.io/redis-streams-emitter. It dials nothing. Clients that are away get the events when
// they come back, if their server has recovery.
func NewStreams(cfg StreamsConfig) (*Emitter, error) {
	err := cfg.Config.Validate()
	if min(cfg.StreamCount, cfg.MaxLen) < 0 {
		err = errors.Join(err, errors.New("emitter: StreamCount and MaxLen must not be negative"))
	}
	if err != nil {
		return nil, err
	}
	cfg.Config = cfg.Config.withDefaults()
	if cfg.StreamName == "" {
		cfg.StreamName = "socket.io"
	}
	if cfg.StreamCount == 0 {
		cfg.StreamCount = 1
	}
	if cfg.MaxLen == 0 {
		cfg.MaxLen = 10_000
	}
	return &Emitter{form: newStreams(cfg, "/", newAudience(cfg.Config, "redis-streams", true, true))}, nil
}

// streams is one namespace in the form that @socket.io/redis-streams-adapter hears.
type streams struct {
	cfg       StreamsConfig // with defaults
	namespace string
	stream    string
	audience  *audience
}

func newStreams(cfg StreamsConfig, namespace string, a *audience) *streams {
	return &streams{cfg, namespace, wire.Streams{Name: cfg.StreamName, Count: cfg.StreamCount}.Of(namespace), a}
}

func (s *streams) of(namespace string) form { return newStreams(s.cfg, namespace, s.audience) }

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
	err := s.cfg.Redis.Do(ctx, "XADD", s.stream, "MAXLEN", "~", s.cfg.MaxLen, "*",
		wire.FieldUID, senderUID, wire.FieldNamespace, s.namespace, wire.FieldType, kind, wire.FieldData, data).Err()
	if err == nil {
		s.audience.look(ctx) // Redis doesn't say who reads a stream
	}
	return failure(ctx, "add to "+s.stream, err)
}

// appendStreamBroadcast makes {packet: {type, data, nsp}, opts: {rooms, flags, except}}, in the order of Node's emitter: as
// JSON, and where there is binary as msgpack in base64.
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
