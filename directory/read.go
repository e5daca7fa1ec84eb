package directory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

const (
	// maxRecord is thirty times the size of a record.
	maxRecord = 16 << 10
	// maxMembers limits the unknown records that one look reads, of workers and of routers. The
	// next look reads further ones.
	maxMembers = 1 << 12
	maxID      = 64
	// readTogether is the number of records that one command reads.
	readTogether = 256
)

// isID reports whether a text may be the id of a worker or router.
func isID(id string) bool {
	return id != "" && len(id) <= maxID && strings.IndexFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

// wrongType reports whether a key has another type than it should. Redis's other errors aren't
// about a single key.
func wrongType(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer) && strings.HasPrefix(answer.Error(), "WRONGTYPE")
}

// reader reads the records of workers and routers, and remembers them. It isn't for concurrent use.
type reader struct {
	*app
	memory memory
}

// read reads both sets and the signs of beats, then the record and the remaining life of each
// member of which the signs don't say enough. All keys share one slot. A bad key costs only itself.
// Known are the ids that it reads even if the sets don't have them. Own are the keys of this
// process's own records, which are always read. withSecret says to read the routers' secret too.
func (r *reader) read(ctx context.Context, known members, own map[string]time.Time, withSecret bool) (o observation, err error) {
	begun := time.Now()
	signs, err := r.readMembers(ctx, &o, known, withSecret)
	if err != nil {
		return o, err
	}
	var unknown, beaten []reading
	at := time.Now()
	for key, s := range r.keys.records(&o) {
		now, signed := parseSign(signs[key.field])
		delete(signs, key.field)
		_, mine := own[key.record]
		q := reading{into: s, key: key, sign: now, signed: signed}
		switch {
		case mine || !signed || s.unlisted:
			unknown = append(unknown, q)
		case r.memory.recall(s, key.field, now, at):
		case r.memory.saw(key.field, now): // and no beat since
			unknown = append(unknown, q)
		default:
			beaten = append(beaten, q)
		}
	}
	for field := range signs {
		if len(o.loose) < maxMembers {
			o.loose = append(o.loose, field)
		}
	}
	absent, err := r.readMany(ctx, beaten)
	if err != nil {
		return o, err
	}
	unknown = append(unknown, absent...)
	if err := r.readAll(ctx, unknown); err != nil {
		return o, err
	}
	o.at = time.Now()
	for _, q := range slices.Concat(beaten, unknown) {
		r.memory.note(q.into, q.key.field, q.sign, q.signed, o.at)
	}
	r.memory.begun = begun
	r.memory.keep(r.keys.records(&o), len(o.workers)+len(o.routers))
	return o, nil
}

// readMembers reads who the workers and the routers are, and returns the signs of their beats.
// There are none if the hash can't be read: then all records are read.
func (r *reader) readMembers(ctx context.Context, o *observation, known members, withSecret bool) (signs map[string]string, err error) {
	pipe := r.client.Pipeline()
	workers, routers := pipe.SMembers(ctx, r.keys.workers()), pipe.SMembers(ctx, r.keys.routers())
	beats := pipe.HGetAll(ctx, r.keys.beats())
	var secret *redis.StringCmd
	if withSecret {
		secret = pipe.Get(ctx, r.keys.secret())
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	if o.workers, err = o.membersOf(r.keys.workers(), workers, known.workers); err != nil {
		return nil, err
	}
	if o.routers, err = o.membersOf(r.keys.routers(), routers, known.routers); err != nil {
		return nil, err
	}
	if withSecret {
		o.secret = sawSecret(secret)
	}
	return beats.Val(), nil
}

// recordKey is where a record and its sign are.
type recordKey struct{ record, field string }

func (k keys) ofWorker(id string) recordKey { return recordKey{k.worker(id), workerField(id)} }
func (k keys) ofRouter(id string) recordKey {
	return recordKey{k.router(id), routerKind.name + ":" + id}
}

func workerField(id string) string { return workerKind.name + ":" + id }

// records returns each member of an observation with its keys.
func (k keys) records(o *observation) iter.Seq2[recordKey, *seen] {
	return func(yield func(recordKey, *seen) bool) {
		for i := range o.workers {
			if !yield(k.ofWorker(o.workers[i].id), &o.workers[i]) {
				return
			}
		}
		for i := range o.routers {
			if !yield(k.ofRouter(o.routers[i].id), &o.routers[i]) {
				return
			}
		}
	}
}

// readWorkers reads the records of workers, whatever it remembers of them.
func (r *reader) readWorkers(ctx context.Context, ids []string) ([]seen, error) {
	all, asked := make([]seen, len(ids)), make([]reading, len(ids))
	for i, id := range ids {
		all[i].id = id
		asked[i] = reading{into: &all[i], key: r.keys.ofWorker(id)}
		delete(r.memory.records, asked[i].key.field) // its record has changed
	}
	return all, r.readAll(ctx, asked)
}

// members are ids by kind.
type members struct{ workers, routers map[string]bool }

// membersOf returns the ids whose records a look reads: the known ones and the members of a set.
func (o *observation) membersOf(set string, cmd *redis.StringSliceCmd, known map[string]bool) ([]seen, error) {
	ids, err := cmd.Result()
	switch {
	case wrongType(err): // its members make a new set with their next beats
		o.blind = true
		o.unreadable = append(o.unreadable, set+": "+err.Error())
	case err != nil:
		return nil, fmt.Errorf("directory: read members: %w", redisconn.Classify(err))
	}
	all := make([]seen, 0, len(known)+min(len(ids), maxMembers))
	listed := make(map[string]bool, len(known))
	slices.Sort(ids)
	tooMany := false
	for _, id := range ids {
		switch {
		case known[id]:
			listed[id] = true
		case !isID(id):
			if len(o.junk[set]) < maxMembers {
				o.drop(set, id)
			}
		case len(all) < maxMembers:
			all = append(all, seen{id: id})
		default:
			tooMany = true
		}
	}
	for id := range known {
		all = append(all, seen{id: id, unlisted: !listed[id]})
	}
	if tooMany {
		o.unreadable = append(o.unreadable, fmt.Sprintf("%s: more than %d members", set, maxMembers))
	}
	return all, nil
}

// reading is a record that was asked for.
type reading struct {
	into   *seen
	key    recordKey
	sign   sign // before the record was read
	signed bool
	get    *redis.StringCmd
	ttl    *redis.DurationCmd
}

// readMany reads records that were beaten since the last look, many with one command: a router that
// starts, and each one after Redis was away, wants all of them. It returns those that Redis doesn't
// have. How long a record still lives isn't asked: until the next look, which sees another beat or
// reads it by readAll.
func (r *reader) readMany(ctx context.Context, asked []reading) (absent []reading, err error) {
	if len(asked) == 0 {
		return nil, nil
	}
	pipe := r.client.Pipeline()
	var answers []*redis.SliceCmd
	for some := range slices.Chunk(asked, readTogether) {
		records := make([]string, len(some))
		for i, q := range some {
			records[i] = q.key.record
		}
		answers = append(answers, pipe.MGet(ctx, records...))
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, some := range slices.Collect(slices.Chunk(asked, readTogether)) {
		values, err := answers[i].Result()
		if err != nil {
			return nil, fmt.Errorf("directory: read records: %w", redisconn.Classify(err))
		}
		for k, q := range some {
			switch raw, ok := values[k].(string); {
			case !ok:
				absent = append(absent, q)
			case len(raw) > maxRecord:
				q.into.bad = fmt.Sprintf("%d bytes, at most %d are read", len(raw), maxRecord)
			default:
				q.into.raw, q.into.ttl = raw, lookEvery
			}
		}
	}
	return absent, nil
}

// readAll reads records and how long each still lives, with two commands for each.
func (r *reader) readAll(ctx context.Context, asked []reading) error {
	if len(asked) == 0 {
		return nil
	}
	pipe := r.client.Pipeline()
	for i := range asked {
		q := &asked[i]
		q.get, q.ttl = pipe.Get(ctx, q.key.record), pipe.PTTL(ctx, q.key.record)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for _, q := range asked {
		if err := q.settle(); err != nil {
			return fmt.Errorf("directory: read records: %w", redisconn.Classify(err))
		}
	}
	return nil
}

// settle stores what Redis has of the record. It returns an error that isn't about this record
// alone.
func (r reading) settle() error {
	raw, err := r.get.Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil
	case wrongType(err):
		r.into.bad = err.Error()
		return nil
	case err != nil:
		return err
	}
	ttl, err := r.ttl.Result()
	switch {
	case err != nil:
		return err
	case len(raw) > maxRecord:
		r.into.bad = fmt.Sprintf("%d bytes, at most %d are read", len(raw), maxRecord)
	case ttl == -1:
		r.into.bad = "never expires: nobody beats it"
	case ttl >= 0: // otherwise it has just expired
		r.into.raw, r.into.ttl = raw, ttl
	}
	return nil
}
