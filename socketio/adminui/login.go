package adminui

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/socketio"
)

// errCredentials is the UI's: it shows the form to log in for this text alone.
var errCredentials = socketio.NewError("invalid credentials")

// maxCost limits the work that a login may cause: 2^14 rounds take a second.
const maxCost = 14

// maxLogins limits the logins that wait for their turn.
const maxLogins = 16

func checkHash(hash string) error {
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case err != nil:
		return fmt.Errorf("not a bcrypt hash: %w", err)
	case cost > maxCost:
		return fmt.Errorf("cost %d: above %d anybody could keep the server busy", cost, maxCost)
	}
	return nil
}

// credentials are what the UI connects with.
type credentials struct {
	SessionID string `json:"sessionId"`
	Username  string `json:"username"`
	Password  string `json:"password"`
}

// admit adds the middleware that lets admins in.
func (u *ui) admit() {
	if u.cfg.Anyone {
		return
	}
	door := make(chan struct{}, 1) // one hash at a time: they cost much
	queue := make(chan struct{}, maxLogins)
	u.admins.Use(func(ctx context.Context, s *socketio.Socket) error {
		var c credentials
		if err := s.Handshake().DecodeAuth(&c); err != nil {
			return errCredentials
		}
		if c.SessionID != "" && u.knows(ctx, c.SessionID) {
			return nil
		}
		if c.Username == "" || c.Password == "" {
			return errCredentials
		}
		select {
		case queue <- struct{}{}:
			defer func() { <-queue }()
		default:
			quietly.Warn(u.log, "admin UI: login refused: too many at once", "address", s.Handshake().Address)
			return errCredentials
		}
		select {
		case door <- struct{}{}:
			defer func() { <-door }()
		case <-ctx.Done():
			return ctx.Err()
		}
		wrong := bcrypt.CompareHashAndPassword([]byte(u.cfg.PasswordHash), []byte(c.Password))
		if c.Username != u.cfg.User || wrong != nil {
			quietly.Warn(u.log, "admin UI: wrong password", "address", s.Handshake().Address)
			return errCredentials
		}
		id := newSessionID()
		if err := u.cfg.Sessions.Save(ctx, id); err != nil {
			quietly.Warn(u.log, "admin UI: session isn't saved: the admin will have to log in again", "error", err)
			return nil
		}
		return s.Emit("session", id)
	})
}

// knows reports whether a session exists. Its id is the client's.
func (u *ui) knows(ctx context.Context, id string) bool {
	if _, err := hex.DecodeString(id); err != nil || len(id) > maxSessionID {
		return false
	}
	known, err := u.cfg.Sessions.Has(ctx, id)
	if err != nil {
		quietly.Warn(u.log, "admin UI: can't look for a session", "error", err)
	}
	return known
}

// maxSessionID limits the characters of an id. Node's servers, which may share the store, make 16.
const maxSessionID = 64

func newSessionID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Sessions remembers who has logged in.
type Sessions interface {
	// Save remembers an id.
	Save(ctx context.Context, id string) error
	// Has reports whether an id was saved and hasn't expired.
	Has(ctx context.Context, id string) (bool, error)
}

const sessionLife = 24 * time.Hour

// RedisSessions keeps sessions in Redis for a day, as PREFIX#ID, where Node's RedisStore finds
// them. An empty prefix means Node's, "socket.io-admin".
func RedisSessions(conn sidereal.RedisConn, prefix string) Sessions {
	if prefix == "" {
		prefix = "socket.io-admin"
	}
	return redisSessions{conn, prefix}
}

type redisSessions struct {
	conn   sidereal.RedisConn
	prefix string
}

func (r redisSessions) Save(ctx context.Context, id string) error {
	return r.conn.Client().Set(ctx, r.prefix+"#"+id, "true", sessionLife).Err()
}

func (r redisSessions) Has(ctx context.Context, id string) (bool, error) {
	n, err := r.conn.Client().Exists(ctx, r.prefix+"#"+id).Result()
	return n > 0, err
}

// memorySessions keeps sessions in this process.
type memorySessions struct {
	mu   sync.Mutex
	ends map[string]time.Time
}

// maxSessions limits what somebody with the password can make the process keep.
const maxSessions = 1000

var errSessions = errors.New("adminui: 1,000 sessions are open")

func newMemorySessions() *memorySessions { return &memorySessions{ends: make(map[string]time.Time)} }

func (m *memorySessions) Save(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for other, end := range m.ends {
		if now.After(end) {
			delete(m.ends, other)
		}
	}
	if len(m.ends) >= maxSessions {
		return errSessions
	}
	m.ends[id] = now.Add(sessionLife)
	return nil
}

func (m *memorySessions) Has(_ context.Context, id string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Before(m.ends[id]), nil
}
