package link

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// DefaultKey is the Config.Key of servers that set none, Node's included.
const DefaultKey = "socket.io"

// Config configures a link. Package adapter documents the fields and checks them.
type Config struct {
	Conn    *redisconn.Conn
	OwnConn bool // Run runs and closes Conn

	Key             string
	RequestsTimeout time.Duration
	BufferMessages  int
	BufferBytes     int
	BufferAge       time.Duration
	MaxMessageBytes int

	OnGap         func(Gap)
	Group         *Group
	AskOnly       bool // no server counts or asks this process
	Name, Version string
	Log           *slog.Logger
	Metrics       prometheus.Registerer

	// Wrap lets a test put a form of its own in front of the real one.
	Wrap func(Form) Form
}

// MaxName is how many bytes a process's name may have.
const MaxName = 512

func (c Config) withDefaults() Config {
	c.Log = cmp.Or(c.Log, slog.Default())
	c.Key = cmp.Or(c.Key, DefaultKey)
	c.RequestsTimeout = cmp.Or(c.RequestsTimeout, 5*time.Second)
	c.BufferMessages = cmp.Or(c.BufferMessages, 100_000)
	c.BufferBytes = cmp.Or(c.BufferBytes, 64<<20)
	c.BufferAge = cmp.Or(c.BufferAge, 30*time.Second)
	c.MaxMessageBytes = cmp.Or(c.MaxMessageBytes, 64<<20)
	return c
}
