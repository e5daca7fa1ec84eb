package directory

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

const (
	secretBytes = 32
	// maxSecret limits the length of a secret that another process has written, because requests
	// carry it.
	maxSecret = 256
	// earlierFor is how long an earlier secret still counts. Routers that haven't looked since
	// still show it.
	earlierFor = 10 * time.Minute
	// maxEarlier limits the number of such secrets.
	maxEarlier = 4
	// askEvery is the least time between two questions to Redis about an unknown secret.
	askEvery = 250 * time.Millisecond
)

// secret is the secret that the routers of one app show each other. Redis has it: the key is
// written once and read at every look. A router that finds the key missing writes its own secret
// again. A router that finds another secret takes it over.
type secret struct {
	*app

	mu      sync.Mutex // guards the rest
	value   string
	earlier []earlierSecret // the newest first
	asking  *askingSecret   // nil: no question is open
	asked   time.Time
	told    sparse
}

type earlierSecret struct {
	value string
	until time.Time
}

// askingSecret is a question to Redis that several callers share.
type askingSecret struct {
	sent bool          // under secret.mu; a secret shown from now on may be newer than the answer
	done chan struct{} // closed with the answer
}

// secretSeen is the state of the key at one look.
type secretSeen struct {
	value string
	state int
}

const (
	secretUnasked = iota // or Redis didn't say
	secretThere
	secretMissing
	secretSpoilt // the key has no secret in it
)

func sawSecret(get *redis.StringCmd) secretSeen {
	value, err := get.Result()
	switch {
	case errors.Is(err, redis.Nil):
		return secretSeen{state: secretMissing}
	case wrongType(err), err == nil && !isSecret(value):
		return secretSeen{state: secretSpoilt}
	case err != nil:
		return secretSeen{}
	}
	return secretSeen{value, secretThere}
}

// isSecret reports whether a text may be a secret in a request's field.
func isSecret(s string) bool {
	return s != "" && len(s) <= maxSecret && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

// known reports whether this process has a secret, as routers do. Only they confirm it.
func (s *secret) known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value != ""
}

// adopt makes value the secret. The earlier one counts for a while.
func (s *secret) adopt(value string) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = s.value != value && s.value != ""
	if changed {
		s.earlier = slices.Insert(s.earlier, 0, earlierSecret{s.value, time.Now().Add(earlierFor)})
		s.earlier = s.earlier[:min(len(s.earlier), maxEarlier)]
	}
	s.value = value
	return changed
}

// all returns the secret and the earlier ones that still count.
func (s *secret) all() (values []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value != "" {
		values = append(values, s.value)
	}
	now := time.Now()
	for _, e := range s.earlier {
		if now.Before(e.until) && !slices.Contains(values, e.value) {
			values = append(values, e.value)
		}
	}
	return values
}

// is reports whether shown is a secret that counts, or a worker's key made of one.
func (s *secret) is(shown, workerID string) bool {
	is := 0
	for _, value := range s.all() {
		is |= subtle.ConstantTimeCompare([]byte(value), []byte(shown))
		if workerID != "" {
			is |= subtle.ConstantTimeCompare([]byte(WorkerKey(value, workerID)), []byte(shown))
		}
	}
	return is == 1
}

// get returns the secret: see [Directory.Secret].
func (s *secret) get(ctx context.Context) (string, error) {
	s.mu.Lock()
	value := s.value
	s.mu.Unlock()
	if value != "" {
		return value, nil
	}
	return s.agree(ctx, randomText(secretBytes), false)
}

// accepts reports whether shown counts: see [Directory.AcceptsAt]. An empty workerID is no worker.
func (s *secret) accepts(ctx context.Context, workerID, shown string) bool {
	if s.is(shown, workerID) {
		return true
	}
	if !isSecret(shown) || !s.known() || !s.conn.Up() {
		return false
	}
	s.ask(ctx)
	return s.is(shown, workerID)
}

// ask returns after Redis has answered a question about the secret that was sent after the
// call.
func (s *secret) ask(ctx context.Context) {
	for {
		s.mu.Lock()
		a := s.asking
		if a == nil {
			a = &askingSecret{done: make(chan struct{})}
			s.asking = a
			s.mu.Unlock()
			s.askAs(ctx, a)
			return
		}
		late := a.sent
		s.mu.Unlock()
		select {
		case <-a.done:
		case <-ctx.Done():
			return
		}
		if !late {
			return
		}
	}
}

// askAs asks Redis for all callers that wait for a. It takes a second at most, and doesn't
// end with the first caller's context.
func (s *secret) askAs(ctx context.Context, a *askingSecret) {
	s.mu.Lock()
	wait := askEvery - time.Since(s.asked)
	s.mu.Unlock()
	time.Sleep(wait)
	s.mu.Lock()
	a.sent, s.asked = true, time.Now()
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), untaggedWait)
	defer cancel()
	s.confirm(ctx, sawSecret(s.client.Get(ctx, s.keys.secret())))
	s.mu.Lock()
	s.asking = nil
	s.mu.Unlock()
	close(a.done)
}

// confirm compares the secret in Redis with the one in this process.
func (s *secret) confirm(ctx context.Context, saw secretSeen) {
	switch saw.state {
	case secretUnasked:
		return
	case secretThere:
		s.takeOver(saw.value)
		return
	}
	s.mu.Lock()
	known := s.value
	s.mu.Unlock()
	if known == "" {
		return
	}
	_, err := s.agree(ctx, known, saw.state == secretSpoilt)
	switch {
	case !s.told.due(logEvery):
	case err != nil:
		s.log.Warn("the routers' secret isn't in Redis and couldn't be written", "error", err)
	default:
		s.log.Warn("the routers' secret wasn't in Redis; written again")
	}
}

func (s *secret) takeOver(value string) {
	if s.adopt(value) {
		s.log.Warn("the routers' secret has changed; routers accept the earlier one for a while", "earlier_for_ms", earlierFor.Milliseconds())
	}
}

// agree writes a secret if Redis has none, and takes over the one that Redis has. It replaces a
// key without a valid secret. If several routers do so at a time, all take over the last one at
// their next look.
func (s *secret) agree(ctx context.Context, offer string, replace bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	pipe := s.client.Pipeline()
	if replace {
		pipe.Del(ctx, s.keys.secret())
	}
	set := pipe.SetArgs(ctx, s.keys.secret(), offer, redis.SetArgs{Mode: "NX"})
	get := pipe.Get(ctx, s.keys.secret())
	_, _ = pipe.Exec(ctx) // the error may be SET's refusal; GET shows whether there is a secret
	saw := sawSecret(get)
	switch {
	case saw.state == secretThere:
		s.takeOver(saw.value)
		return saw.value, nil
	case saw.state == secretSpoilt && !replace:
		return s.agree(ctx, offer, true)
	}
	err := get.Err()
	if refused := set.Err(); refused != nil && !errors.Is(refused, redis.Nil) {
		err = refused
	}
	if err == nil {
		err = errors.New("the key has no secret in it; delete it")
	}
	return "", fmt.Errorf("directory: secret: %w", redisconn.Classify(err))
}
