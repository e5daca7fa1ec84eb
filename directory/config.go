package directory

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

const defaultCacheSize = 1 << 18

// Config says which app's directory to open, and on which Redis.
type Config struct {
	// Redis is the Redis that the hosts of the app share.
	Redis sidereal.Redis
	// Conn is a connection that the process has already. It replaces Redis. Whoever opened it runs
	// it and closes it; it must run while the Directory does.
	Conn sidereal.RedisConn

	// App separates the apps on one Redis: letters, digits, dots, dashes and underscores, or the
	// result of PortApp. Empty means "default".
	App string
	// SIDTTL is the minimum time that an unused sid keeps its owner in Redis. Routers renew a sid
	// when they use it, and raise the value to pingInterval + pingTimeout + 30 s. A shorter time
	// frees Redis memory sooner, and forgets lost workers sooner. Zero means 90 seconds.
	SIDTTL time.Duration
	// CacheSize limits the number of sids that this process remembers. The least recently used sid
	// leaves first; the next request with it costs a round trip to Redis. Zero means 262,144, which
	// take 45 MB.
	CacheSize int

	// Log gets one line when a worker is lost, gone, back or forgotten. Nil means
	// slog.Default().
	Log *slog.Logger
	// Metrics registers the sidereal_directory_* metrics; nil registers nothing.
	Metrics prometheus.Registerer
}

// withDefaults fills zero fields and reports every field that can't work.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.App == "" {
		cfg.App = defaultApp
	}
	if cfg.SIDTTL == 0 {
		cfg.SIDTTL = defaultSIDTTL
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = defaultCacheSize
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	var problems []error
	if cfg.Conn == nil && cfg.Redis.URL == "" {
		problems = append(problems, errors.New("directory: Redis.URL is empty"))
	}
	name, port, ofPort := strings.Cut(cfg.App, ":")
	if strings.IndexFunc(name, notInAppName) >= 0 || name == "" || ofPort && !isPort(port) {
		problems = append(problems, fmt.Errorf("directory: App %q: must be letters, digits, dots, dashes and underscores", cfg.App))
	}
	if cfg.SIDTTL < recordTTL {
		problems = append(problems, fmt.Errorf("directory: SIDTTL %v: must be at least %v, the life of a worker's record", cfg.SIDTTL, recordTTL))
	}
	if cfg.CacheSize < cacheShards {
		problems = append(problems, fmt.Errorf("directory: CacheSize %d: must be at least %d", cfg.CacheSize, cacheShards))
	}
	return cfg, errors.Join(problems...)
}

// connect returns the connection to use. The Directory owns it if cfg.Conn is nil.
func (cfg Config) connect() (conn *redisconn.Conn, owned bool, err error) {
	shared := cfg.Conn
	if shared == nil {
		owned = true
		shared, err = sidereal.OpenRedis(cfg.Redis, cfg.Log, cfg.Metrics)
	}
	if err == nil {
		conn, err = redisconn.From(shared)
	}
	if err != nil {
		err = fmt.Errorf("directory: %w", err)
	}
	return conn, owned, err
}

// PortApp names the part of an app that has a port of its own. Its sessions and workers are
// separate from those of other ports.
func PortApp(app string, port int) string {
	if app == "" {
		app = defaultApp
	}
	return app + ":" + strconv.Itoa(port)
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func notInAppName(r rune) bool {
	return !(r < 128 && isURLSafe(byte(r)) || r == '.')
}
