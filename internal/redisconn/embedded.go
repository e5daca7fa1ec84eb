package redisconn

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embeddedTick is how often the embedded Redis's clock moves on. Every move walks all keys to expire some; left to
// itself, miniredis does so at each command, which at 10,000 sids costs milliseconds per command.
const embeddedTick = 50 * time.Millisecond

// Embedded is a Redis inside this process: for one host, a first try and tests. It forgets everything when it ends.
type Embedded struct {
	m        *miniredis.Miniredis
	password string
	running  sync.WaitGroup
}

// ServeEmbedded listens on addr and serves until ctx ends; then Wait returns. An empty addr is a free port of
// 127.0.0.1, an empty password a random one. TTLs run with the clock.
func ServeEmbedded(ctx context.Context, addr, password string) (*Embedded, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	if password == "" {
		password = rand.Text()
	}
	e := &Embedded{m: miniredis.NewMiniRedis(), password: password}
	e.m.RequireAuth(password)
	e.m.ClockTTL(true)
	e.m.SetTime(time.Now()) // from here on the clock moves only in tick
	if err := e.m.StartAddr(addr); err != nil {
		return nil, fmt.Errorf("redisconn: embedded Redis: %w", err)
	}
	e.running.Go(func() { e.tick(ctx) })
	return e, nil
}

func (e *Embedded) tick(ctx context.Context) {
	defer e.m.Close()
	ticker := time.NewTicker(embeddedTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			e.m.SetTime(now)
			e.m.Exists("") // any access lets the keys expire whose time has come
		}
	}
}

// URL is how to connect, password included: not for log lines.
func (e *Embedded) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", e.password), Host: e.m.Addr()}
	return u.String()
}

// Addr is the host:port that it listens on.
func (e *Embedded) Addr() string { return e.m.Addr() }

// Wait returns when it has ended and closed its connections.
func (e *Embedded) Wait() { e.running.Wait() }
