package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

const secretBytes = 32

// secret is what the routers of one app show each other.
type secret struct {
	mu    sync.Mutex // guards value
	value string
}

// Secret returns what routers show each other, made by the first one that asked. After the first time it comes from
// memory, so that doors open while Redis is away. It is never empty without an error, which is one of redisconn's.
func (d *Directory) Secret(ctx context.Context) (string, error) {
	d.secret.mu.Lock()
	value := d.secret.value
	d.secret.mu.Unlock()
	if value != "" {
		return value, nil
	}
	return d.secret.agree(ctx, d, randomText(secretBytes))
}

// agree offers a secret and takes the one that Redis has.
func (s *secret) agree(ctx context.Context, d *Directory, offer string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	pipe := d.client.Pipeline()
	pipe.SetArgs(ctx, d.keys.secret(), offer, redis.SetArgs{Mode: "NX"})
	get := pipe.Get(ctx, d.keys.secret())
	_, _ = pipe.Exec(ctx) // its error may be SET's refusal, which is an answer; GET's tells whether there is a secret
	value, err := get.Result()
	if err == nil && value == "" {
		err = errors.New("the key is empty; delete it")
	}
	if err != nil {
		return "", fmt.Errorf("directory: secret: %w", redisconn.Classify(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = value
	return value, nil
}

// restore gives a Redis that lost its data the secret that all routers still know, and takes over one that was made
// meanwhile.
func (s *secret) restore(ctx context.Context, d *Directory) {
	s.mu.Lock()
	known := s.value
	s.mu.Unlock()
	if known == "" {
		return
	}
	if _, err := s.agree(ctx, d, known); err != nil {
		d.cfg.Log.Debug().Err(err).Msg("secret not restored")
	}
}
