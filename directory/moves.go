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

// moves orders workers to move sessions.
type moves struct {
	*app
	workers *follower
}

// order gives the orders that plan makes: see [Directory.OrderMoves].
func (m *moves) order(ctx context.Context, plan func(*Table) (map[string]MoveOrder, error)) error {
	ctx, cancel := context.WithTimeout(ctx, moveWithin)
	defer cancel()
	owner := randomText(secretBytes)
	err := m.client.SetArgs(ctx, m.keys.moves(), owner, redis.SetArgs{Mode: "NX", TTL: movesLock}).Err()
	if errors.Is(err, redis.Nil) {
		return ErrMovesOrdered
	}
	if err != nil {
		return fmt.Errorf("directory: order moves: %w", redisconn.Classify(err))
	}
	table, err := m.workers.readAnew(ctx)
	var orders map[string]MoveOrder
	if err == nil {
		orders, err = plan(table)
	}
	if err == nil && len(orders) > 0 {
		return m.write(ctx, orders)
	}
	unlocked := m.client.Del(ctx, m.keys.moves()).Err() // it expires if this fails
	if err == nil && unlocked != nil {
		err = fmt.Errorf("directory: order moves: %w", redisconn.Classify(unlocked))
	}
	return err
}

// stop ends moves: see [Directory.StopMoves].
func (m *moves) stop(ctx context.Context, workers []string) error {
	orders := make(map[string]MoveOrder, len(workers))
	for _, id := range workers {
		orders[id] = MoveOrder{}
	}
	ctx, cancel := context.WithTimeout(ctx, moveWithin)
	defer cancel()
	return m.write(ctx, orders)
}

func (m *moves) write(ctx context.Context, orders map[string]MoveOrder) error {
	pipe := m.client.Pipeline()
	for _, id := range slices.Sorted(maps.Keys(orders)) {
		pipe.Set(ctx, m.keys.move(id), encode(orders[id]), moveTTL)
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
	if n, err := r.client.Del(ctx, r.keys.move(r.id)).Result(); err != nil || n != 1 {
		return // the next beat tries again
	}
	var order MoveOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil || len(text) > maxRecord {
		r.log.Warn("order to move sessions not readable: ignored", "worker", r.id)
		return
	}
	order.Sessions, order.Keep = countOf(order.Sessions), countOf(order.Keep)
	select {
	case <-r.moves:
	default:
	}
	r.moves <- order // Run alone sends, and there is room now
}
