package adapter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

const (
	rereadFirst = 20 * time.Millisecond // after a read that failed
	rereadMost  = time.Second
	askWithin   = 3 * time.Second
)

// errReply reports an answer of Redis that is not what its documentation says.
var errReply = errors.New("adapter: Redis answered a read of streams with something else")

// streamReader reads the streams of a process, in one goroutine.
type streamReader struct {
	r       *Redis
	form    *streams
	streams map[string]*stream
	names   []string
	begun   chan struct{} // closed when the first places are known
	once    sync.Once
	client  atomic.Pointer[redis.UniversalClient] // that reads; closing it ends the read
}

// stream is how far one stream has been read.
type stream struct {
	name string
	at   offset
	gap  gapWatch
}

func newStreamReader(r *Redis, f *streams) *streamReader {
	s := &streamReader{r: r, form: f, names: f.cfg.names(), streams: make(map[string]*stream), begun: make(chan struct{})}
	for _, name := range s.names {
		s.streams[name] = &stream{name: name}
	}
	return s
}

// wait returns once everything that others append from here on will be read.
func (s *streamReader) wait(ctx context.Context) error {
	select {
	case <-s.begun:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interrupt ends the read that is going on: its connection may be dead without having said so.
func (s *streamReader) interrupt() {
	if c := s.client.Load(); c != nil {
		_ = (*c).Close()
	}
}

// run reads until ctx ends, on a new connection whenever it must.
func (s *streamReader) run(ctx context.Context) error {
	retry := rereadFirst
	var logged string
	for ctx.Err() == nil {
		read, err := s.listen(ctx)
		if read {
			retry, logged = rereadFirst, ""
		}
		if err = redisconn.Classify(err); ctx.Err() == nil && !errors.Is(err, redisconn.ErrUnreachable) && err.Error() != logged {
			logged = err.Error()
			s.r.log.Error().Err(err).Msg("streams cannot be read")
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
			retry = min(2*retry, rereadMost)
		}
	}
	return nil
}

// listen reads as long as one connection lasts, and tells whether it read at all.
func (s *streamReader) listen(ctx context.Context) (read bool, err error) {
	client := s.r.conn.Blocking(s.form.cfg.block())
	s.client.Store(&client)
	defer client.Close()
	defer context.AfterFunc(ctx, s.interrupt)()
	for _, name := range s.names {
		if err := s.locate(ctx, client, s.streams[name]); err != nil {
			return false, err
		}
	}
	s.once.Do(func() { close(s.begun) })
	for ctx.Err() == nil {
		reply, err := s.read(ctx, client)
		switch {
		case errors.Is(err, redis.Nil): // nothing new
			read = true
			continue
		case err != nil:
			return read, err
		}
		read = true
		if err := s.takeAll(ctx, client, reply); err != nil {
			return read, err
		}
	}
	return read, ctx.Err()
}

func (s *streamReader) read(ctx context.Context, client redis.UniversalClient) ([]any, error) {
	args := []any{"XREAD", "COUNT", s.form.cfg.ReadCount, "BLOCK", s.form.cfg.BlockTimeInMs, "STREAMS"}
	for _, name := range s.names {
		args = append(args, name)
	}
	for _, name := range s.names {
		args = append(args, s.streams[name].at.String())
	}
	cmd := redis.NewSliceCmd(ctx, args...)
	cmd.SetFirstKeyPos(6)
	_ = client.Process(ctx, cmd)
	return cmd.Result()
}

// takeAll takes [[stream, [[id, [field, value, ...]], ...]], ...].
func (s *streamReader) takeAll(ctx context.Context, client redis.UniversalClient, reply []any) error {
	for _, one := range reply {
		pair, ok := one.([]any)
		if !ok || len(pair) != 2 {
			return errReply
		}
		name, _ := pair[0].(string)
		entries, _ := pair[1].([]any)
		st := s.streams[name]
		if st == nil {
			return errReply
		}
		for _, e := range entries {
			at, fields, ok := readEntry(e)
			if !ok {
				return errReply
			}
			s.take(st, at, fields)
		}
		if len(entries) >= min(s.form.cfg.ReadCount, s.form.cfg.MaxLen) { // behind, perhaps by more than there is
			s.askGap(ctx, client, st)
		}
	}
	return nil
}

// readEntry takes [id, [field, value, ...]] apart.
func readEntry(e any) (at offset, fields []any, ok bool) {
	pair, _ := e.([]any)
	if len(pair) != 2 {
		return at, nil, false
	}
	id, _ := pair[0].(string)
	fields, _ = pair[1].([]any) // nil for an entry that was deleted
	at, ok = parseOffset(id)
	return at, fields, ok
}

// take moves on before anything else, so that an entry costs at most itself.
func (s *streamReader) take(st *stream, at offset, fields []any) {
	s.lost(st, st.gap.before(at))
	st.at = at
	s.lost(st, st.gap.read(at))
	e := entryOf(fields)
	switch err := s.form.take(&e, at); {
	case errors.Is(err, ErrTooLarge):
		s.r.refuse(oversized, st.name, len(e.Data))
	case err != nil:
		s.r.refuse(malformed, st.name, len(e.Data))
	}
}

func entryOf(fields []any) (e wire.Entry) {
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		switch name {
		case wire.FieldUID:
			e.UID = value
		case wire.FieldNamespace:
			e.Namespace = value
		case wire.FieldType:
			e.Type = value
		case wire.FieldData:
			e.Data = value
		}
	}
	return e
}

// locate finds where to read from: at first after what is there, later where reading ended; and if the stream is not what
// it was, since Redis lost it, where it ends now.
func (s *streamReader) locate(ctx context.Context, client redis.UniversalClient, st *stream) error {
	info, err := askStream(ctx, client, st.name)
	if err != nil {
		return err
	}
	select {
	case <-s.begun:
	default:
		st.at = info.last
		st.gap = gapWatch{known: info.counted, count: info.added}
		return nil
	}
	if st.at.after(info.last) {
		s.r.log.Warn().Str("stream", st.name).Str("read", st.at.String()).Str("last", info.last.String()).
			Msg("Redis lost a part of the stream; what other servers said then may be lost")
		st.at = info.last
		st.gap = gapWatch{known: info.counted, count: info.added}
		return nil
	}
	s.lost(st, st.gap.ask(st.at, info))
	return nil
}

func (s *streamReader) askGap(ctx context.Context, client redis.UniversalClient, st *stream) {
	if info, err := askStream(ctx, client, st.name); err == nil {
		s.lost(st, st.gap.ask(st.at, info))
	}
}

// lost reports entries that were trimmed before they were read.
func (s *streamReader) lost(st *stream, n uint64) {
	if n == 0 {
		return
	}
	s.r.metrics.drop(trimmed, int(n))
	s.r.log.Warn().Str("stream", st.name).Uint64("messages", n).Int("max_len", s.form.cfg.MaxLen).
		Msg("messages from other servers were trimmed from the stream before they were read")
}

// streamInfo is what Redis says of a stream.
type streamInfo struct {
	last    offset
	added   uint64 // entries ever
	counted bool   // added is known: Redis counts since version 7
}

func askStream(ctx context.Context, client redis.UniversalClient, name string) (info streamInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	cmd := redis.NewSliceCmd(ctx, "XINFO", "STREAM", name)
	cmd.SetFirstKeyPos(2)
	_ = client.Process(ctx, cmd)
	fields, err := cmd.Result()
	var refusal redis.Error
	if errors.As(err, &refusal) && refusal.Error() == "ERR no such key" {
		return streamInfo{counted: true}, nil
	}
	if err != nil {
		return info, err
	}
	for i := 0; i+1 < len(fields); i += 2 {
		switch fields[i] {
		case "last-generated-id":
			id, _ := fields[i+1].(string)
			var ok bool
			if info.last, ok = parseOffset(id); !ok {
				return info, fmt.Errorf("%w: last-generated-id %q", errReply, id)
			}
		case "entries-added":
			n, ok := fields[i+1].(int64)
			info.added, info.counted = uint64(n), ok
		}
	}
	return info, nil
}
