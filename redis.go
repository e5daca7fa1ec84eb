package sidereal

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Redis says which Redis to use and how to log in there. Passwords never appear in errors or logs.
type Redis struct {
	// URL names the Redis:
	//
	//	redis[s]://[user:password@]host[:6379][/db]
	//	redis[s]+sentinel://[user:password@]host[:26379][,host…]/master[/db]
	//	redis[s]+cluster://[user:password@]host[:6379][,host…]
	//
	// With an s the connection uses TLS. Special characters in the user name and the password are
	// percent-encoded. Sentinels with a password of their own get it as
	// ?sentinel_username=…&sentinel_password=….
	URL string

	// Username and Password replace those of the URL. Empty keeps the URL's.
	Username, Password string

	// CAFile is a PEM file with the certificates that sign Redis's certificate. Empty means the
	// system's. It needs a TLS URL.
	CAFile string

	// CertFile and KeyFile are PEM files with the certificate that this process shows to Redis, and
	// its key. Empty means none. They need each other and a TLS URL.
	CertFile, KeyFile string
}

// RedisConn is an open connection to Redis that several parts of a process can share. Only
// [OpenRedis] makes one; the packages refuse any other implementation.
type RedisConn interface {
	// Run watches Redis until ctx ends. The parts that share the connection need it. Call it once.
	Run(ctx context.Context) error
	// Wait returns nil while Redis answers, and waits for that until ctx ends.
	Wait(ctx context.Context) error
	// Close closes the connection. Call it when Run and all parts have returned.
	Close() error
	// Client returns the client for commands on keys, which an app may use for keys of its own. It
	// doesn't retry. That of a Redis Cluster retries if a node is lost, so its commands must
	// tolerate repetition. Don't close it.
	Client() redis.UniversalClient
	// String returns the URL without its passwords.
	String() string
}

// ErrRedisUnreachable reports a Redis that doesn't answer, or can't carry out commands at the
// moment. Waiting can help. It can't help against other errors of a connection, such as a wrong
// password.
var ErrRedisUnreachable = redisconn.ErrUnreachable

// OpenRedis checks cfg and makes a connection. It dials nothing: Run does. It logs when Redis is
// lost and when it is back to log, which is slog.Default() if it is nil. It registers the
// sidereal_redis_* metrics if metrics isn't nil.
func OpenRedis(cfg Redis, log *slog.Logger, metrics prometheus.Registerer) (RedisConn, error) {
	conn, err := redisconn.Open(redisconn.Config{
		URL: cfg.URL, Username: cfg.Username, Password: cfg.Password,
		CAFile: cfg.CAFile, CertFile: cfg.CertFile, KeyFile: cfg.KeyFile,
		Log: log, Metrics: metrics,
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}
