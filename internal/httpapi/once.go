package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"
)

// remembered is how long a request with an Idempotency-Key is known.
const remembered = 5 * time.Minute

// raced is how often a transaction may meet another one with the same key.
const raced = 3

var idempotencyKey = regexp.MustCompile(`^[!-~]{1,255}$`)

// once names an action that is carried out once, however often the client asks.
type once struct {
	key   string // in Redis
	print string // of the request: another one must not have its key
}

// newOnce returns nil without an Idempotency-Key.
func (s *Server) newOnce(c *caller, header http.Header, operation string, body []byte, line int) (*once, *problem) {
	values := header.Values("Idempotency-Key")
	switch {
	case len(values) == 0:
		return nil, nil
	case len(values) > 1 || !idempotencyKey.MatchString(values[0]):
		return nil, newProblem("bad-value", "Idempotency-Key must have 1 to 255 printable characters of ASCII").at("Idempotency-Key")
	}
	name := sha256.Sum256([]byte(c.Name + "\x00" + values[0]))
	print := sha256.Sum256([]byte(operation + "\x00" + string(body)))
	return &once{
		key:   fmt.Sprintf("{sidereal:%s}:api:%s#%d", s.cfg.App, hex.EncodeToString(name[:16]), line),
		print: hex.EncodeToString(print[:16]),
	}, nil
}

var errReused = newProblem("key-reused", "the same Idempotency-Key came with another request within five minutes")

// sendOnce carries out those of some actions that weren't carried out before. An action and its key
// are one transaction: after a time in which Redis didn't answer, a retry neither loses nor doubles
// it.
func (s *sender) sendOnce(ctx context.Context, actions []*action) []*problem {
	faults := make([]*problem, len(actions))
	if fault := s.unable(ctx); fault != nil {
		for i := range faults {
			faults[i] = fault
		}
		return faults
	}
	keys := make([]string, len(actions))
	for i, a := range actions {
		keys[i] = a.once.key
	}
	attempt := func(tx *redis.Tx) error { return s.transact(ctx, tx, keys, actions, faults) }
	var err error
	for range raced {
		if err = s.redis.Client().Watch(ctx, attempt, keys...); !errors.Is(err, redis.TxFailedErr) {
			break
		}
	}
	switch {
	case errors.Is(err, redis.TxFailedErr):
		for i := range faults {
			faults[i] = newProblem("in-progress", "the same request is being carried out; repeat it in a moment")
			faults[i].retry = retryAway
		}
	case isMoved(err):
		for i := range faults {
			faults[i] = newProblem("bad-value", "on a Redis Cluster an Idempotency-Key works with SIDEREAL_ADAPTER=redis only").at("Idempotency-Key")
			faults[i].Outcome = notSent
		}
	case err != nil:
		for i := range faults {
			if faults[i] == nil {
				faults[i] = asProblem(err)
			}
		}
	}
	return faults
}

// transact carries out the actions whose keys aren't there.
func (s *sender) transact(ctx context.Context, tx *redis.Tx, keys []string, actions []*action, faults []*problem) error {
	clear(faults)
	known, err := tx.MGet(ctx, keys...).Result()
	if err != nil {
		fault := asProblem(err)
		fault.Outcome = notSent // a question changes nothing
		return fault
	}
	pipe := tx.TxPipeline()
	e := s.emitter.Via(pipe)
	var queued []int
	for i, a := range actions {
		switch known[i] {
		case nil:
		case a.once.print:
			continue
		default:
			faults[i] = errReused
			continue
		}
		if err := a.send(ctx, e); err != nil {
			faults[i] = asProblem(err)
			continue
		}
		pipe.Set(ctx, a.once.key, a.once.print, remembered)
		queued = append(queued, i)
	}
	if len(queued) == 0 {
		return nil
	}
	commands, err := pipe.Exec(ctx)
	if errors.Is(err, redis.TxFailedErr) {
		return err
	}
	for _, c := range commands {
		if isMoved(c.Err()) {
			return c.Err() // nothing was carried out
		}
	}
	for k, i := range queued {
		faults[i] = asProblem(refusal(commands, commands[2*k].Err()))
	}
	return nil
}

// refusal returns why Redis discarded a transaction: its words about the command that it refused.
// The others only have EXECABORT.
func refusal(commands []redis.Cmder, err error) error {
	const aborted = "EXECABORT"
	if !redis.HasErrorPrefix(err, aborted) {
		return err
	}
	for _, c := range commands {
		if own := c.Err(); own != nil && !redis.HasErrorPrefix(own, aborted) {
			return own
		}
	}
	return err
}

// isMoved reports whether another node of a Redis Cluster has the key of a command.
func isMoved(err error) bool {
	return redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK ") || redis.HasErrorPrefix(err, "CROSSSLOT")
}

// stored is the answer to a question that is asked once; without an answer it is under way.
type stored struct {
	Print  string         `json:"print"`
	Answer jsontext.Value `json:"answer,omitzero"`
}

// askOnce asks a question, or returns what it brought before.
func (s *Server) askOnce(ctx context.Context, a *action, ask func() (any, *problem)) (any, *problem) {
	c := s.cfg.Redis.Client()
	mine, _ := json.Marshal(stored{Print: a.once.print})
	claimed, err := c.SetNX(ctx, a.once.key, mine, s.cfg.Timeout+a.wait+time.Second).Result()
	if err != nil {
		fault := asProblem(err)
		fault.Outcome = notSent
		return nil, fault
	}
	if !claimed {
		text, err := c.Get(ctx, a.once.key).Bytes()
		if err != nil {
			fault := asProblem(err)
			fault.Outcome = ""
			return nil, fault
		}
		var before stored
		switch err := json.Unmarshal(text, &before); {
		case err != nil, before.Print != a.once.print:
			return nil, errReused
		case before.Answer == nil:
			fault := newProblem("in-progress", "the same request is being carried out; repeat it in a moment")
			fault.retry = retryAway
			return nil, fault
		}
		return before.Answer, nil
	}
	answer, fault := ask()
	if fault != nil {
		return answer, fault // the claim ends soon
	}
	if text, err := json.Marshal(answer); err == nil {
		if whole, err := json.Marshal(stored{a.once.print, text}); err == nil {
			c.Set(ctx, a.once.key, whole, remembered) // without it the claim ends soon
		}
	}
	return answer, nil
}
