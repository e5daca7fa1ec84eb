package adapter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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

// streamReader reads the streams of a process: in one goroutine, but in a cluster, where a command names the streams of one
// node, in one for each.
type streamReader struct {
	r       *Redis
	form    *streams
	streams map[string]*stream
	names   []string
	begun   chan struct{} // closed when all first places are known

	mu      sync.Mutex                         // guards the rest
	unknown int                                // first places
	clients map[redis.UniversalClient]struct{} // that read; closing them ends their reads
}

// stream is how far one stream has been read.
type stream struct {
	name  string
	known bool // its first place is; the reader's, as the next
	gap   gapWatch

	turn   sync.Mutex // held while an entry is taken, guards the rest
	at     offset
	tail   tail
	behind []catchingUp
}

// catchingUp waits until the stream has been read up to a place.
type catchingUp struct {
	to   offset
	done chan struct{}
}

// wait returns once the stream has been read up to a place, and what is there was handled; false: not in time.
func (st *stream) wait(ctx context.Context, to offset, atMost time.Duration) bool {
	st.turn.Lock()
	if !to.after(st.at) {
		st.turn.Unlock()
		return true
	}
	done := make(chan struct{})
	st.behind = append(st.behind, catchingUp{to, done})
	st.turn.Unlock()
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	select {
	case <-done:
		st.turn.Lock() // the reader moves on before it handles an entry, and lets go of it then
		defer st.turn.Unlock()
		return true
	case <-ctx.Done():
		return false
	}
}

func (st *stream) movedLocked(at offset) {
	st.at = at
	st.behind = slices.DeleteFunc(st.behind, func(c catchingUp) bool {
		if c.to.after(at) {
			return false
		}
		close(c.done)
		return true
	})
}

// restart has reading go on after at, and forgets what was read before.
func (st *stream) restart(at offset, info streamInfo) {
	st.turn.Lock()
	defer st.turn.Unlock()
	st.movedLocked(at)
	st.tail.restart(at)
	st.gap = gapWatch{known: info.counted, count: info.added}
}

func newStreamReader(r *Redis, f *streams) *streamReader {
	s := &streamReader{r: r, form: f, names: f.cfg.streams().All(), streams: make(map[string]*stream), begun: make(chan struct{}),
		clients: make(map[redis.UniversalClient]struct{})}
	s.unknown = len(s.names)
	for _, name := range s.names {
		s.streams[name] = &stream{name: name, tail: tail{maxLen: f.cfg.MaxLen + f.cfg.MaxLen/10}}
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

// interrupt ends the reads that are going on: their connections may be dead without having said so.
func (s *streamReader) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		_ = c.Close()
	}
}

// run reads until ctx ends.
func (s *streamReader) run(ctx context.Context) {
	together := len(s.names)
	if s.r.conn.Cluster() {
		together = 1
	}
	var reading sync.WaitGroup
	for names := range slices.Chunk(s.names, together) {
		reading.Go(func() { s.follow(ctx, names) })
	}
	reading.Wait()
}

// follow reads some of the streams until ctx ends, on a new connection whenever it must.
func (s *streamReader) follow(ctx context.Context, names []string) {
	retry := rereadFirst
	var logged string
	for ctx.Err() == nil {
		read, err := s.listen(ctx, names)
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
}

// use makes a client that interrupt knows, until done is called.
func (s *streamReader) use() (client redis.UniversalClient, done func()) {
	client = s.r.conn.Blocking(s.form.cfg.block())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[client] = struct{}{}
	return client, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.clients, client)
		_ = client.Close()
	}
}

// listen reads as long as one connection lasts, and tells whether it read at all.
func (s *streamReader) listen(ctx context.Context, names []string) (read bool, err error) {
	client, done := s.use()
	defer done()
	defer context.AfterFunc(ctx, s.interrupt)()
	for _, name := range names {
		if err := s.locate(ctx, client, s.streams[name]); err != nil {
			return false, err
		}
	}
	for ctx.Err() == nil {
		reply, err := s.read(ctx, client, names)
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

func (s *streamReader) read(ctx context.Context, client redis.UniversalClient, names []string) ([]any, error) {
	args := []any{"XREAD", "COUNT", s.form.cfg.ReadCount, "BLOCK", s.form.cfg.BlockTimeInMs, "STREAMS"}
	for _, name := range names {
		args = append(args, name)
	}
	for _, name := range names {
		args = append(args, s.streams[name].at.String()) // which the reader alone moves
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
	e := entryOf(fields)
	st.turn.Lock()
	defer st.turn.Unlock()
	st.movedLocked(at)
	st.tail.add(at, e)
	s.lostLocked(st, st.gap.read(at))
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
	if !st.known {
		st.restart(info.last, info)
		if err := s.remember(ctx, client, st, info.last); err != nil {
			return err
		}
		st.known = true
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.unknown--; s.unknown == 0 {
			close(s.begun)
		}
		return nil
	}
	if st.at.after(info.last) {
		s.r.log.Warn().Str("stream", st.name).Str("read", st.at.String()).Str("last", info.last.String()).
			Msg("Redis lost a part of the stream; what other servers said then may be lost")
		st.restart(info.last, info)
		s.form.keeper.again()
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

// remember reads what the stream has so far, for clients that come back to this process soon after it began.
func (s *streamReader) remember(ctx context.Context, client redis.UniversalClient, st *stream, upTo offset) error {
	st.turn.Lock()
	on := st.tail.on
	st.turn.Unlock()
	from := "-"
	for on {
		batch, err := client.XRangeN(ctx, st.name, from, upTo.String(), missedAtOnce).Result()
		if err != nil {
			return err
		}
		st.turn.Lock()
		if from == "-" && len(batch) > 0 {
			first, _ := parseOffset(batch[0].ID)
			st.tail.restart(first)
			batch = batch[1:]
		}
		for _, m := range batch {
			if at, ok := parseOffset(m.ID); ok {
				st.tail.add(at, entryOfValues(m.Values))
			}
		}
		st.turn.Unlock()
		if len(batch) < missedAtOnce-1 {
			return nil
		}
		from = "(" + batch[len(batch)-1].ID
	}
	return nil
}

// lost reports entries that were trimmed before they were read.
func (s *streamReader) lost(st *stream, n uint64) {
	st.turn.Lock()
	defer st.turn.Unlock()
	s.lostLocked(st, n)
}

func (s *streamReader) lostLocked(st *stream, n uint64) {
	if n == 0 {
		return
	}
	st.tail.restart(st.at) // something before is missing
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
