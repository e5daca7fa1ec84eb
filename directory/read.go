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

// read reads both sets and the signs of beats, then the record and the remaining life of each member
// of which the signs don't say enough. All keys share one slot. A bad key costs only itself. Own are
// the keys of this process's own records, which are always read.
func (d *Directory) read(ctx context.Context, own map[string]time.Time) (o observation, err error) {
	begun := time.Now()
	var beats *redis.MapStringStringCmd
	var secret *redis.StringCmd
	err = d.readMembers(ctx, &o, func(pipe redis.Pipeliner) {
		beats = pipe.HGetAll(ctx, d.keys.beats())
		if d.secret.known() {
			secret = pipe.Get(ctx, d.keys.secret())
		}
	})
	if err != nil {
		return o, err
	}
	o.blind = o.blind || d.cut.Load()
	if secret != nil {
		o.secret = sawSecret(secret)
	}
	signs := beats.Val() // none if the hash can't be read: all records are read then
	var unknown, beaten []reading
	at := time.Now()
	for key, s := range d.records(&o) {
		now, signed := parseSign(signs[key.field])
		delete(signs, key.field)
		_, mine := own[key.record]
		r := reading{into: s, key: key, sign: now, signed: signed}
		switch {
		case mine || !signed || s.unlisted:
			unknown = append(unknown, r)
		case d.memory.recall(s, key.field, now, at):
		case d.memory.saw(key.field, now): // and no beat since
			unknown = append(unknown, r)
		default:
			beaten = append(beaten, r)
		}
	}
	for field := range signs {
		if len(o.loose) < maxMembers {
			o.loose = append(o.loose, field)
		}
	}
	absent, err := d.readMany(ctx, beaten)
	if err != nil {
		return o, err
	}
	unknown = append(unknown, absent...)
	if err := d.readAll(ctx, unknown); err != nil {
		return o, err
	}
	o.at = time.Now()
	for _, r := range slices.Concat(beaten, unknown) {
		d.memory.note(r.into, r.key.field, r.sign, r.signed, o.at)
	}
	d.memory.begun = begun
	d.memory.keep(d.records(&o), len(o.workers)+len(o.routers))
	return o, nil
}

// readMembers reads who the workers and the routers are, and what also asks for in the same round
// trip. Each command of that has an error of its own.
func (d *Directory) readMembers(ctx context.Context, o *observation, also func(redis.Pipeliner)) (err error) {
	known := d.known()
	pipe := d.client.Pipeline()
	workers, routers := pipe.SMembers(ctx, d.keys.workers()), pipe.SMembers(ctx, d.keys.routers())
	also(pipe)
	_, _ = pipe.Exec(ctx) // each command has its own error
	if o.workers, err = d.membersOf(o, d.keys.workers(), workers, known.workers); err != nil {
		return err
	}
	o.routers, err = d.membersOf(o, d.keys.routers(), routers, known.routers)
	return err
}

// recordKey is where a record and its sign are.
type recordKey struct{ record, field string }

func (k keys) ofWorker(id string) recordKey { return recordKey{k.worker(id), workerField(id)} }
func (k keys) ofRouter(id string) recordKey {
	return recordKey{k.router(id), routerKind.name + ":" + id}
}

func workerField(id string) string { return workerKind.name + ":" + id }

// records returns each member of an observation with its keys.
func (d *Directory) records(o *observation) iter.Seq2[recordKey, *seen] {
	return func(yield func(recordKey, *seen) bool) {
		for i := range o.workers {
			if !yield(d.keys.ofWorker(o.workers[i].id), &o.workers[i]) {
				return
			}
		}
		for i := range o.routers {
			if !yield(d.keys.ofRouter(o.routers[i].id), &o.routers[i]) {
				return
			}
		}
	}
}

// lookAt reads the records of workers that events named. Other records stay as they are.
func (d *Directory) lookAt(ctx context.Context, ids []string) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	all, asked := make([]seen, len(ids)), make([]reading, len(ids))
	for i, id := range ids {
		all[i].id = id
		asked[i] = reading{into: &all[i], key: d.keys.ofWorker(id)}
		delete(d.memory.records, asked[i].key.field) // its record has changed
	}
	if err := d.readAll(ctx, asked); err != nil {
		return err
	}
	var n news
	at := time.Now()
	d.mu.Lock()
	for _, s := range all {
		if s.bad != "" {
			n.unreadable = append(n.unreadable, s.id+": "+s.bad)
		}
		if s.raw != "" { // else the next look tells
			d.roster.saw(s, at, &n)
		}
	}
	if n.changed {
		d.publishLocked()
	}
	d.mu.Unlock()
	d.tell(n)
	return nil
}

// members are ids by kind.
type members struct{ workers, routers map[string]bool }

// known returns the ids that a look reads even if the sets don't have them: a set may be lost
// while its members live. Ids that events named come first if a set has too many.
func (d *Directory) known() (m members) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m.workers, m.routers = make(map[string]bool), make(map[string]bool)
	for id := range d.roster.members {
		m.workers[id] = true
	}
	for id := range d.roster.heard {
		m.workers[id] = true
	}
	for id := range d.roster.raw {
		m.routers[id] = true
	}
	return m
}

// membersOf returns the ids whose records a look reads: the known ones and the members of a set.
func (d *Directory) membersOf(o *observation, set string, cmd *redis.StringSliceCmd, known map[string]bool) ([]seen, error) {
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
func (d *Directory) readMany(ctx context.Context, asked []reading) (absent []reading, err error) {
	if len(asked) == 0 {
		return nil, nil
	}
	pipe := d.client.Pipeline()
	var answers []*redis.SliceCmd
	for some := range slices.Chunk(asked, readTogether) {
		records := make([]string, len(some))
		for i, r := range some {
			records[i] = r.key.record
		}
		answers = append(answers, pipe.MGet(ctx, records...))
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, some := range slices.Collect(slices.Chunk(asked, readTogether)) {
		values, err := answers[i].Result()
		if err != nil {
			return nil, fmt.Errorf("directory: read records: %w", redisconn.Classify(err))
		}
		for k, r := range some {
			switch raw, ok := values[k].(string); {
			case !ok:
				absent = append(absent, r)
			case len(raw) > maxRecord:
				r.into.bad = fmt.Sprintf("%d bytes, at most %d are read", len(raw), maxRecord)
			default:
				r.into.raw, r.into.ttl = raw, lookEvery
			}
		}
	}
	return absent, nil
}

// readAll reads records and how long each still lives, with two commands for each.
func (d *Directory) readAll(ctx context.Context, asked []reading) error {
	if len(asked) == 0 {
		return nil
	}
	pipe := d.client.Pipeline()
	for i := range asked {
		r := &asked[i]
		r.get, r.ttl = pipe.Get(ctx, r.key.record), pipe.PTTL(ctx, r.key.record)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for _, r := range asked {
		if err := r.settle(); err != nil {
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
