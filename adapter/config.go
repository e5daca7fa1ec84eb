package adapter

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Parser encodes messages of the classic form in another way than Node's msgpack: compressed, encrypted, or as another
// format. Node's servers need one that does the same, as their option parser.
type Parser = wire.Parser

// DefaultKey is the prefix of the channels of servers that were given none, Node's included.
const DefaultKey = "socket.io"

// Config configures the adapter of one process. The zero value of a field means its default, which is Node's where Node
// has it.
type Config struct {
	// Conn is the process's connection to Redis, run and closed by whoever made it. Without it URL is used.
	Conn *redisconn.Conn
	// URL names the Redis when there is no Conn: redis://host:6379, rediss://…, redis+sentinel://…, redis+cluster://….
	// Run then runs and closes the connection.
	URL string

	// Key begins the names of all channels; servers share rooms when they share it. Node's option key. Default
	// "socket.io".
	Key string `env:"SIDEREAL_ADAPTER_KEY"`
	// RequestsTimeout is how long the answers of other servers are waited for when the caller's context has no deadline.
	// Node's option requestsTimeout. Default 5 s.
	RequestsTimeout time.Duration `env:"SIDEREAL_REQUESTS_TIMEOUT"`
	// SpecificResponses sends answers to Node's servers only to the one that asked, which Node's option
	// publishOnSpecificResponseChannel does: less traffic, but servers older than version 7 of the adapter don't hear it.
	SpecificResponses bool

	// Parser, when set, encodes the messages of the classic form that are not JSON: Node's option parser. All servers and
	// emitters must have the same. The other forms have none.
	Parser Parser

	// BufferMessages, BufferBytes and BufferAge bound what is kept while Redis is away or slow; the oldest goes first.
	// Defaults 100,000 messages, 64 MiB, 30 s.
	BufferMessages int
	BufferBytes    int
	BufferAge      time.Duration
	// MaxMessageBytes bounds one message, both ways. Default 64 MiB.
	MaxMessageBytes int

	// OnGap is told when messages of other servers may have been missed, once that is over. It is called by who receives
	// messages, and must not block. Nil is allowed: a log line and sidereal_adapter_gaps_total tell in any case.
	OnGap func(Gap)

	// Group, if set, are clusters of this process that this one neither hears nor asks nor counts: they reach each other
	// without Redis.
	Group *Group

	// Name is what this process is called towards others, such as "host-1/worker-3": in errors that say who did not answer,
	// and among a namespace's Peers. At most 512 bytes. Empty: it has none.
	Name string
	// Version is told to the peers, for operators.
	Version string
	// Log gets outages, malformed messages (without their content, at most one line in 10 s) and nothing per message.
	Log zerolog.Logger
	// Metrics registers sidereal_adapter_*; nil registers nothing.
	Metrics prometheus.Registerer
}

func (c Config) withDefaults() Config {
	setDefault(&c.Key, DefaultKey)
	setDefault(&c.RequestsTimeout, 5*time.Second)
	setDefault(&c.BufferMessages, 100_000)
	setDefault(&c.BufferBytes, 64<<20)
	setDefault(&c.BufferAge, 30*time.Second)
	setDefault(&c.MaxMessageBytes, 64<<20)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.Conn == nil && c.URL == "" {
		errs = append(errs, errors.New("adapter: Config needs a Conn or a URL"))
	}
	if c.RequestsTimeout < 0 {
		errs = append(errs, fmt.Errorf("SIDEREAL_REQUESTS_TIMEOUT: %v: must not be negative", c.RequestsTimeout))
	}
	if min(c.BufferMessages, c.BufferBytes, c.MaxMessageBytes, int(c.BufferAge)) < 0 {
		errs = append(errs, errors.New("adapter: the bounds of the buffer and of a message must not be negative"))
	}
	if len(c.Name) > maxName {
		errs = append(errs, fmt.Errorf("adapter: Name: must have at most %d bytes", maxName))
	}
	return errors.Join(errs...)
}
