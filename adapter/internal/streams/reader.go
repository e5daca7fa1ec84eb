package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

const (
	rereadFirst = 20 * time.Millisecond // after a read that failed
	rereadMost  = time.Second
	askWithin   = 3 * time.Second
)

// errReply reports an answer of Redis that doesn't have the documented form.
var errReply = errors.New("adapter: unexpected answer from Redis to a read of streams")

// reader reads the streams of a process, in one goroutine. In a Redis Cluster it uses one for each
// stream, because a command can name the streams of one node only.
type reader struct {
	form    *Form
	streams map[string]*stream
	names   []string
	begun   chan struct{} // closed when all first places are known

	mu      sync.Mutex                         // guards the rest
	unknown int                                // first places that aren't known yet
	clients map[redis.UniversalClient]struct{} // closing one ends its read
}

// stream is how far one stream has been read.
type stream struct {
	name  string
	known bool // its first place is known; only the reader uses this, trims and window
	trims trimCounter

	window    window
	untrimmed string // the last error of trimming that was logged

	turn    sync.Mutex // held while an entry is taken, guards the rest
	at      offset
	tail    tail
	scratch wire.Scratch
	behind  []catchingUp
}

// catchingUp waits until the stream has been read up to a place.
type catchingUp struct {
	to   offset
	done chan struct{}
}

// wait returns once the entries of the stream up to a place have been handled. It returns false if
// that takes too long.
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
		st.turn.Lock() // the reader moves on before it handles an entry, and unlocks afterwards
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

// restart makes reading go on after at, and forgets what was read before.
func (st *stream) restart(at offset, info streamInfo) {
	st.turn.Lock()
	defer st.turn.Unlock()
	st.movedLocked(at)
	st.tail.restart(at)
	st.trims = trimCounter{known: info.counted, count: info.added}
	st.window.restart()
}

func newReader(f *Form) *reader {
	r := &reader{form: f, names: f.cfg.Streams.All(), streams: make(map[string]*stream), begun: make(chan struct{}),
		clients: make(map[redis.UniversalClient]struct{})}
	r.unknown = len(r.names)
	for _, name := range r.names {
		r.streams[name] = &stream{name: name, tail: tail{maxLen: f.cfg.MaxLen + f.cfg.MaxLen/10}, window: window{maxBytes: f.cfg.MaxBytes}}
	}
	return r
}

// wait returns once the reader will read everything that others append from now on.
func (r *reader) wait(ctx context.Context) error {
	select {
	case <-r.begun:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interrupt ends the current reads, because their connections may be dead without a sign.
func (r *reader) interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.clients {
		_ = c.Close()
	}
}

// run reads until ctx ends.
func (r *reader) run(ctx context.Context) {
	together := len(r.names)
	if r.form.Conn.Cluster() {
		together = 1
	}
	var reading sync.WaitGroup
	for names := range slices.Chunk(r.names, together) {
		reading.Go(func() { r.follow(ctx, names) })
	}
	reading.Wait()
}

// follow reads some of the streams until ctx ends, and reconnects when necessary.
func (r *reader) follow(ctx context.Context, names []string) {
	retry := rereadFirst
	var logged string
	for ctx.Err() == nil {
		read, err := r.listen(ctx, names)
		if read {
			retry, logged = rereadFirst, ""
		}
		if err = redisconn.Classify(err); ctx.Err() == nil && !errors.Is(err, redisconn.ErrUnreachable) && err.Error() != logged {
			logged = err.Error()
			r.form.Log.Error("streams cannot be read", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
			retry = min(2*retry, rereadMost)
		}
	}
}

// use makes a client that interrupt closes, until done is called.
func (r *reader) use() (client redis.UniversalClient, done func()) {
	client = r.form.Conn.Blocking(r.form.cfg.Block)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients[client] = struct{}{}
	return client, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.clients, client)
		_ = client.Close()
	}
}

// listen reads as long as one connection lasts, and reports whether it has read at all.
func (r *reader) listen(ctx context.Context, names []string) (read bool, err error) {
	client, done := r.use()
	defer done()
	defer context.AfterFunc(ctx, r.interrupt)()
	for _, name := range names {
		if err := r.locate(ctx, client, r.streams[name]); err != nil {
			return false, err
		}
	}
	for ctx.Err() == nil {
		reply, err := r.read(ctx, client, names)
		switch {
		case errors.Is(err, redis.Nil): // nothing new
			read = true
			continue
		case err != nil:
			return read, err
		}
		read = true
		full, err := r.takeAll(ctx, client, reply)
		if err != nil {
			return read, err
		}
		if !full {
			rest(ctx, pauseAmong(r.form.Servers()))
		}
	}
	return read, ctx.Err()
}

// Each entry wakes all readers, and each of them costs Redis about 8 µs until it waits again. So
// the readers of a large cluster pause after a read: what comes meanwhile is read together. An
// entry that comes alone is never late.
const (
	pausePerServer = 40 * time.Microsecond // a fifth of Redis for readers, if entries come all the time
	leastPause     = time.Millisecond      // below it, a pause costs more than it saves
	longestPause   = 50 * time.Millisecond
)

// pauseAmong returns how long a reader pauses among so many servers.
func pauseAmong(servers int) time.Duration {
	pause := min(time.Duration(servers)*pausePerServer, longestPause)
	if pause < leastPause {
		return 0
	}
	return pause
}

func rest(ctx context.Context, pause time.Duration) {
	if pause == 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (r *reader) read(ctx context.Context, client redis.UniversalClient, names []string) ([]any, error) {
	args := []any{"XREAD", "COUNT", r.form.cfg.ReadCount, "BLOCK", r.form.cfg.Block.Milliseconds(), "STREAMS"}
	for _, name := range names {
		args = append(args, name)
	}
	for _, name := range names {
		args = append(args, r.streams[name].at.String()) // which the reader alone moves
	}
	cmd := redis.NewSliceCmd(ctx, args...)
	cmd.SetFirstKeyPos(6)
	_ = client.Process(ctx, cmd)
	return cmd.Result()
}

// takeAll handles [[stream, [[id, [field, value, ...]], ...]], ...]. It reports whether a stream
// may have more.
func (r *reader) takeAll(ctx context.Context, client redis.UniversalClient, reply []any) (full bool, err error) {
	for _, one := range reply {
		pair, ok := one.([]any)
		if !ok || len(pair) != 2 {
			return full, errReply
		}
		name, _ := pair[0].(string)
		entries, _ := pair[1].([]any)
		st := r.streams[name]
		if st == nil {
			return full, errReply
		}
		size := 0
		for _, e := range entries {
			at, fields, ok := readEntry(e)
			if !ok {
				return full, errReply
			}
			size += r.take(st, at, fields)
		}
		full = full || len(entries) >= r.form.cfg.ReadCount || st.window.large(size)
		if len(entries) >= min(r.form.cfg.ReadCount, r.form.cfg.MaxLen) || st.window.large(size) { // behind, perhaps by more than there is
			r.askTrimmed(ctx, client, st)
		}
		r.trim(ctx, client, st)
	}
	return full, nil
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

// take handles one entry and returns its size. It moves on first, so a bad entry costs at most
// itself.
func (r *reader) take(st *stream, at offset, fields []any) (size int) {
	r.lost(st, st.trims.before(at))
	e := entryOf(fields)
	size = sizeOf(&e)
	st.window.add(at, size)
	st.turn.Lock()
	defer st.turn.Unlock()
	st.movedLocked(at)
	st.tail.add(at, e)
	r.lostLocked(st, st.trims.read(at))
	switch err := r.form.take(&e, &st.scratch); {
	case errors.Is(err, link.ErrTooLarge):
		r.form.Refuse(link.Oversized, st.name, len(e.Data))
	case err != nil:
		r.form.Refuse(link.Malformed, st.name, len(e.Data))
	}
	return size
}

// trim shortens a stream that has too many bytes.
func (r *reader) trim(ctx context.Context, client redis.UniversalClient, st *stream) {
	first, due := st.window.trim()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	err := redisconn.Classify(client.XTrimMinIDApprox(ctx, st.name, first.String(), 0).Err())
	if err != nil && !errors.Is(err, redisconn.ErrUnreachable) && st.untrimmed != err.Error() {
		st.untrimmed = err.Error()
		r.form.Log.Error("stream cannot be trimmed: only the number of its entries is bounded", "stream", st.name, "setting", "SIDEREAL_STREAM_MAX_BYTES", "error", err)
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

// locate finds out where to read from: at first after the last entry, later after the entry that
// was read last, or, if Redis has lost a part of the stream, after its present end.
func (r *reader) locate(ctx context.Context, client redis.UniversalClient, st *stream) error {
	info, err := askStream(ctx, client, st.name)
	if err != nil {
		return err
	}
	if !st.known {
		st.restart(info.last, info)
		if err := r.remember(ctx, client, st, info.last); err != nil {
			return err
		}
		st.known = true
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.unknown--; r.unknown == 0 {
			close(r.begun)
		}
		return nil
	}
	if st.at.after(info.last) {
		r.form.Log.Warn("Redis lost a part of the stream; messages from other servers may be lost", "stream", st.name, "read", st.at.String(), "last", info.last.String())
		st.restart(info.last, info)
		r.form.snapshots.storeAgain()
		return nil
	}
	r.lost(st, st.trims.ask(st.at, info))
	return nil
}

func (r *reader) askTrimmed(ctx context.Context, client redis.UniversalClient, st *stream) {
	if info, err := askStream(ctx, client, st.name); err == nil {
		r.lost(st, st.trims.ask(st.at, info))
	}
}

// remember reads the present entries, for clients that come back to this process soon after its
// start.
func (r *reader) remember(ctx context.Context, client redis.UniversalClient, st *stream, upTo offset) error {
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
				e := entryOfValues(m.Values)
				st.window.add(at, sizeOf(&e))
				st.tail.add(at, e)
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
func (r *reader) lost(st *stream, n uint64) {
	st.turn.Lock()
	defer st.turn.Unlock()
	r.lostLocked(st, n)
}

func (r *reader) lostLocked(st *stream, n uint64) {
	if n == 0 {
		return
	}
	st.tail.restart(st.at) // something before is missing
	r.form.Metrics.Drop(link.Trimmed, int(n))
	r.form.Log.Warn("messages from other servers were trimmed from the stream before they were read", "stream", st.name, "messages", n, "max_len", r.form.cfg.MaxLen, "max_bytes", r.form.cfg.MaxBytes)
}

// streamInfo is Redis's description of a stream.
type streamInfo struct {
	last    offset
	added   uint64 // entries ever
	counted bool   // added is known; Redis counts since version 7
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
