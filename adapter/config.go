package adapter

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// DefaultKey is the Config.Key of servers that set none, Node's included.
const DefaultKey = link.DefaultKey

// Config configures the adapter of one process. The zero value of a field means its default, which
// is Node's where Node has one.
type Config struct {
	// Redis is the Redis that the servers share.
	Redis sidereal.Redis
	// Conn is a connection that the process has already. It replaces Redis. Whoever opened it runs
	// it and closes it; it must run while the Adapter does.
	Conn sidereal.RedisConn

	// Form is the family of Node's adapters that the servers speak like: Classic, Sharded or
	// Streams. All servers must use the same. Nil means Classic.
	Form Form

	// Key begins the names of all channels. Servers share rooms if they share it. It is Node's
	// option key, or channelPrefix in the forms other than Classic. Empty means DefaultKey.
	Key string
	// RequestsTimeout limits how long a request waits for the answers of other servers if the
	// caller's context has no deadline. It is Node's option requestsTimeout. Zero means 5 seconds.
	RequestsTimeout time.Duration

	// BufferMessages, BufferBytes and BufferAge limit the messages that are kept while Redis is
	// away or slow. The oldest are dropped first. Zero means 100,000 messages, 64 MiB and 30
	// seconds.
	BufferMessages int
	BufferBytes    int
	BufferAge      time.Duration
	// MaxMessageBytes limits one message, in both directions, and its attachments as they are before
	// a Parser. Zero means 64 MiB.
	MaxMessageBytes int

	// OnGap is called after a time in which messages of other servers may have been missed. It runs
	// on the goroutine that receives messages, and must not block. It may be nil: a log line and
	// sidereal_adapter_gaps_total report gaps too.
	OnGap func(Gap)

	// Group is the group that this adapter belongs to. It may be nil.
	Group *Group

	// AskOnly makes a member that serves nobody: it sends and asks, and other servers neither count
	// nor ask it. Its namespaces hear answers alone, and no broadcast. It is for processes beside the
	// servers, such as an API or a tool: a server without handlers would leave the servers'
	// questions unanswered.
	AskOnly bool

	// Name is the name of this process for other servers, such as "host-1/worker-3". It appears in
	// errors about missing answers and among a namespace's Peers. It has at most 512 bytes and may
	// be empty.
	Name string
	// Version is announced to the peers, for operators.
	Version string
	// Log gets outages and malformed messages (without their content, at most one line in 10 s). It
	// gets nothing per message. Nil means slog.Default().
	Log *slog.Logger
	// Metrics registers sidereal_adapter_*. Nil registers nothing.
	Metrics prometheus.Registerer

	wrap func(link.Form) link.Form // for tests
}

// Gap is a time in which messages of other servers may have been missed: Redis was away, or ended
// our subscription because we read too slowly (its client-output-buffer-limit), or a Redis Cluster
// moved channels to another node. Nobody knows how many messages there were. An app that needs
// every message fetches its state again, or uses Streams.
type Gap struct {
	From, To time.Time
	// Rooms is the number of rooms whose messages may have been missed. Zero means that all
	// messages may have been missed.
	Rooms int
}

// Validate returns an error that names every setting that can't work.
func (c Config) Validate() error {
	var errs []error
	if c.Conn == nil && c.Redis.URL == "" {
		errs = append(errs, errors.New("adapter: Redis.URL is empty"))
	}
	if c.RequestsTimeout < 0 {
		errs = append(errs, fmt.Errorf("adapter: RequestsTimeout %v: must not be negative", c.RequestsTimeout))
	}
	if min(c.BufferMessages, c.BufferBytes, c.MaxMessageBytes, int(c.BufferAge)) < 0 {
		errs = append(errs, errors.New("adapter: BufferMessages, BufferBytes, BufferAge and MaxMessageBytes must not be negative"))
	}
	if len(c.Name) > link.MaxName {
		errs = append(errs, fmt.Errorf("adapter: Name: must have at most %d bytes", link.MaxName))
	}
	if c.Form != nil {
		errs = append(errs, c.Form.validate())
	}
	return errors.Join(errs...)
}

// common is the part of the configuration that doesn't depend on the form.
func (c *Config) common() (l link.Config, err error) {
	l = link.Config{
		Key: c.Key, RequestsTimeout: c.RequestsTimeout,
		BufferMessages: c.BufferMessages, BufferBytes: c.BufferBytes, BufferAge: c.BufferAge, MaxMessageBytes: c.MaxMessageBytes,
		AskOnly: c.AskOnly, Name: c.Name, Version: c.Version, Log: c.Log, Metrics: c.Metrics, Wrap: c.wrap,
	}
	if c.Group != nil {
		l.Group = &c.Group.members
	}
	if f := c.OnGap; f != nil {
		l.OnGap = func(g link.Gap) { f(Gap(g)) }
	}
	shared := c.Conn
	if shared == nil {
		l.OwnConn = true
		shared, err = sidereal.OpenRedis(c.Redis, c.Log, nil)
	}
	if err == nil {
		l.Conn, err = redisconn.From(shared)
	}
	if err != nil {
		err = fmt.Errorf("adapter: %w", err)
	}
	return l, err
}
