package adminui

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/internal/notice"
	"github.com/sidereal-io/sidereal/socketio"
)

// Config says who may connect, and what they may do and see. The options of Node's instrument have
// the same meaning.
type Config struct {
	// Namespace is the one that the UI connects to. Empty means "/admin".
	Namespace string
	// User and PasswordHash are what an admin logs in with. The hash is bcrypt's.
	User, PasswordHash string
	// Anyone lets everybody in, without a password (auth: false). It excludes User.
	Anyone bool
	// Sessions remembers who has logged in. Nil means this process, for a day. With several servers,
	// an admin whose connection moves to another one has to log in again unless they share it: see
	// [RedisSessions].
	Sessions Sessions
	// ReadOnly refuses all actions.
	ReadOnly bool
	// Production leaves out single sockets, rooms and events (mode: "production").
	Production bool
	// ServerID names this server. Empty means host#pid.
	ServerID string
	// Log gets a line for each action and each refused login. Nil means slog.Default().
	Log *slog.Logger
}

// Bounds of what the UI is told. It isn't made for more: it keeps everything in the browser.
const (
	// MaxSockets limits the sockets that all servers together show.
	MaxSockets = 1000
	// MaxEventsPerSecond limits the events that one server tells of in a second.
	MaxEventsPerSecond = 500
)

var errConfig = errors.New("adminui: wrong Config")

func (c Config) withDefaults() (Config, error) {
	if c.Namespace == "" {
		c.Namespace = "/admin"
	}
	if c.ServerID == "" {
		host, _ := os.Hostname() // the UI shows an empty one
		c.ServerID = fmt.Sprintf("%s#%d", host, os.Getpid())
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Sessions == nil {
		c.Sessions = newMemorySessions()
	}
	switch {
	case c.Anyone && c.User+c.PasswordHash != "":
		return c, fmt.Errorf("%w: Anyone and User exclude each other", errConfig)
	case c.Anyone:
		return c, nil
	case c.User == "":
		return c, fmt.Errorf("%w: User or Anyone is required", errConfig)
	}
	if err := checkHash(c.PasswordHash); err != nil {
		return c, fmt.Errorf("%w: PasswordHash: %w", errConfig, err)
	}
	return c, nil
}

// mark is what each socket's data says about its connection, as with Node's servers.
type mark struct {
	ClientID  string `json:"clientId"`
	Transport string `json:"transport"`
	Ours      bool   `json:"sidereal"` // the server tells of its sockets itself
}

// markKey is hidden from admins again.
var markKey = socketio.NewKey[mark]("_admin")

// ui is one instrumented server.
type ui struct {
	cfg    Config
	io     *socketio.Server
	admins *socketio.Namespace
	host   string
	log    *slog.Logger

	present atomic.Int32  // admins connected here
	wake    chan struct{} // somebody came, here or elsewhere; one is enough
	lease   lease
	feed    *feed

	openMu sync.Mutex
	open   chan struct{} // closed while watch runs
}

// Instrument adds the UI's namespace to a server. Call it once, before the server serves.
func Instrument(io *socketio.Server, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	u := &ui{cfg: cfg, io: io, log: cfg.Log, wake: make(chan struct{}, 1), open: make(chan struct{})}
	u.host, _ = os.Hostname()
	u.admins = io.Of(cfg.Namespace)
	u.feed = newFeed(u.admins)
	for n := range io.Namespaces() {
		u.follow(n)
	}
	io.OnNamespace(u.follow)
	u.admit()
	u.answerServers()
	u.admins.OnConnect(u.connected)
	u.admins.OnDisconnect(func(*socketio.Socket, string) { u.present.Add(-1) })
	if !cfg.ReadOnly {
		u.addActions()
	}
	io.Go(u.run)
	return nil
}

// features are what the UI offers its user.
func (u *ui) features() []string {
	list := []string{"AGGREGATED_EVENTS"}
	if !u.cfg.ReadOnly {
		list = append(list, "EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT")
	}
	if !u.cfg.Production {
		list = append(list, "ALL_EVENTS")
	}
	return list
}

// connected greets an admin.
func (u *ui) connected(s *socketio.Socket) {
	u.present.Add(1)
	u.rouse()
	if err := s.Emit("config", map[string]any{"supportedFeatures": u.features()}); err != nil || u.cfg.Production {
		return
	}
	s.Go(func(ctx context.Context) {
		if sockets := u.everywhere(ctx); ctx.Err() == nil {
			_ = s.Emit("all_sockets", sockets) // an admin who has left needs none
		}
	})
}

// rouse wakes run.
func (u *ui) rouse() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// quietly limits the lines about single sockets.
var quietly = notice.New()
