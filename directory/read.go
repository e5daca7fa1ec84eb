package directory

import (
	"context"
	"errors"
	"fmt"
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

// read reads both sets, then each member's record and its remaining life. All keys share one
// slot. A bad key costs only itself.
func (d *Directory) read(ctx context.Context) (o observation, err error) {
	known := d.known()
	sets := d.client.Pipeline()
	workers, routers := sets.SMembers(ctx, d.keys.workers()), sets.SMembers(ctx, d.keys.routers())
	var secret *redis.StringCmd
	if d.secret.known() {
		secret = sets.Get(ctx, d.keys.secret())
	}
	_, _ = sets.Exec(ctx) // each command has its own error
	o.blind = d.cut.Load()
	if o.workers, err = d.membersOf(&o, d.keys.workers(), workers, known.workers); err != nil {
		return o, err
	}
	if o.routers, err = d.membersOf(&o, d.keys.routers(), routers, known.routers); err != nil {
		return o, err
	}
	if secret != nil {
		o.secret = sawSecret(secret)
	}
	records := d.client.Pipeline()
	read := append(d.ask(ctx, records, o.workers, d.keys.worker), d.ask(ctx, records, o.routers, d.keys.router)...)
	if len(read) > 0 {
		_, _ = records.Exec(ctx)
	}
	for _, r := range read {
		if err := r.settle(); err != nil {
			return o, fmt.Errorf("directory: read records: %w", redisconn.Classify(err))
		}
	}
	o.at = time.Now()
	return o, nil
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
	into *seen
	get  *redis.StringCmd
	ttl  *redis.DurationCmd
}

func (d *Directory) ask(ctx context.Context, pipe redis.Pipeliner, all []seen, key func(string) string) []reading {
	asked := make([]reading, len(all))
	for i := range all {
		k := key(all[i].id)
		asked[i] = reading{&all[i], pipe.Get(ctx, k), pipe.PTTL(ctx, k)}
	}
	return asked
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
