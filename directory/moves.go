package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

const (
	// moveTTL is how long an order waits for its worker: three beats.
	moveTTL = recordTTL
	// movesLock is how long nobody else gives orders. Until then each worker has taken its order
	// and said so in its record, and everybody has read that; or its order has expired.
	movesLock = 15 * time.Second
	// moveWithin is how long the planning may take, so that the lock outlives the orders.
	moveWithin = 4 * time.Second
)

// ErrMovesOrdered reports that somebody else gave orders to move sessions a moment ago.
var ErrMovesOrdered = errors.New("directory: another rebalance began in the last 15 seconds")

// MoveOrder tells a worker to move sessions away: to end them, so that their clients reconnect to
// other hosts. It says how many sessions to keep, so that the same order twice, or an order that
// was planned with old records, moves nobody too many.
type MoveOrder struct {
	Sessions  int     `json:"sessions"`   // to move at most; 0 stops an earlier order
	Keep      int     `json:"keep"`       // stop when there are no more than these
	PerSecond float64 `json:"per_second"` // how many to move each second
}

// OrderMoves calls plan with the workers and routers as Redis has them now, and gives the workers
// their orders, by id. It fails with ErrMovesOrdered if another process did so in the last 15
// seconds. An error of plan ends it, as does a plan without orders. The Directory must be running.
func (d *Directory) OrderMoves(ctx context.Context, plan func(*Table) (map[string]MoveOrder, error)) error {
	ctx, cancel := context.WithTimeout(ctx, moveWithin)
	defer cancel()
	owner := randomText(secretBytes)
	err := d.client.SetArgs(ctx, d.keys.moves(), owner, redis.SetArgs{Mode: "NX", TTL: movesLock}).Err()
	if errors.Is(err, redis.Nil) {
		return ErrMovesOrdered
	}
	if err != nil {
		return fmt.Errorf("directory: order moves: %w", redisconn.Classify(err))
	}
	orders, err := d.planMoves(ctx, plan)
	if err == nil && len(orders) > 0 {
		return d.writeMoves(ctx, orders)
	}
	unlocked := d.client.Del(ctx, d.keys.moves()).Err() // it expires if this fails
	if err == nil && unlocked != nil {
		err = fmt.Errorf("directory: order moves: %w", redisconn.Classify(unlocked))
	}
	return err
}

func (d *Directory) planMoves(ctx context.Context, plan func(*Table) (map[string]MoveOrder, error)) (map[string]MoveOrder, error) {
	o, err := d.readAnew(ctx)
	if err != nil {
		return nil, err
	}
	r := newRoster(d.cfg.SIDTTL)
	r.observe(o)
	t := r.table(1, nil)
	for _, w := range d.Workers().All() { // missed beats are told, and not in Redis
		if now := t.byID[w.ID]; now != nil && w.State == StateSick {
			now.State = StateSick
		}
	}
	return plan(newTable(1, t.byID, t.routers, nil))
}

// readAnew reads all records. Unlike read, it may be called beside Run, whose memory of earlier
// records it doesn't use.
func (d *Directory) readAnew(ctx context.Context) (o observation, err error) {
	if err := d.readMembers(ctx, &o, func(redis.Pipeliner) {}); err != nil {
		return o, err
	}
	var all []reading
	for key, s := range d.records(&o) {
		all = append(all, reading{into: s, key: key})
	}
	err = d.readAll(ctx, all)
	o.at = time.Now()
	return o, err
}

// StopMoves gives workers orders to move nobody, which replace earlier ones.
func (d *Directory) StopMoves(ctx context.Context, workers ...string) error {
	orders := make(map[string]MoveOrder, len(workers))
	for _, id := range workers {
		orders[id] = MoveOrder{}
	}
	ctx, cancel := context.WithTimeout(ctx, moveWithin)
	defer cancel()
	return d.writeMoves(ctx, orders)
}

func (d *Directory) writeMoves(ctx context.Context, orders map[string]MoveOrder) error {
	pipe := d.client.Pipeline()
	for _, id := range slices.Sorted(maps.Keys(orders)) {
		pipe.Set(ctx, d.keys.move(id), encode(orders[id]), moveTTL)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("directory: order moves: %w", redisconn.Classify(err))
	}
	return nil
}

// Moves returns the channel of the orders to move sessions that this worker gets. It holds one
// order: a newer one replaces it. Call Moves before Run, which asks for orders with each beat only
// if somebody called Moves.
func (r *Registration[R]) Moves() <-chan MoveOrder {
	r.moves = make(chan MoveOrder, 1)
	return r.moves
}

// takeMove takes the order that a beat has found. Whoever deletes the key has the order.
func (r *Registration[R]) takeMove(ctx context.Context, text string) {
	if n, err := r.d.client.Del(ctx, r.d.keys.move(r.id)).Result(); err != nil || n != 1 {
		return // the next beat tries again
	}
	var order MoveOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil || len(text) > maxRecord {
		r.d.cfg.Log.Warn("order to move sessions not readable: ignored", "worker", r.id)
		return
	}
	order.Sessions, order.Keep = countOf(order.Sessions), countOf(order.Keep)
	select {
	case <-r.moves:
	default:
	}
	r.moves <- order // Run alone sends, and there is room now
}
