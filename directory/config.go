package directory

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// defaultCacheSize is some 45 MB when full.
const defaultCacheSize = 1 << 18

// Config says where the directory is.
type Config struct {
	// Conn is the Redis; its Run must be running.
	Conn *redisconn.Conn
	// App separates the apps on one Redis: letters, digits, dot, dash and underscore, or what PortApp made of them. Empty
	// means default.
	App string
	// SIDTTL is how long an unused sid keeps its owner in Redis, at least. Routers renew it by use, and raise it to
	// pingInterval + pingTimeout + 30 s. Shorter frees Redis memory sooner, and forgets lost workers sooner. Zero: 90 s.
	SIDTTL time.Duration
	// CacheSize is how many sids this process remembers, the least recently used leaving first. What left costs a trip to
	// Redis. Zero: 262,144.
	CacheSize int
	// Log gets one line when a worker is lost, gone, back or forgotten.
	Log zerolog.Logger
	// Metrics registers the sidereal_directory_* metrics; nil registers nothing.
	Metrics prometheus.Registerer
}

// withDefaults fills zero fields and reports what cannot work.
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
	var problems []error
	if cfg.Conn == nil {
		problems = append(problems, errors.New("directory: Conn is missing"))
	}
	name, port, ofPort := strings.Cut(cfg.App, ":")
	if strings.IndexFunc(name, notInAppName) >= 0 || name == "" || ofPort && !isPort(port) {
		problems = append(problems, fmt.Errorf("SIDEREAL_APP: %q: must be letters, digits, dots, dashes and underscores", cfg.App))
	}
	if cfg.SIDTTL < recordTTL {
		problems = append(problems, fmt.Errorf("SIDEREAL_SID_TTL: %v: must be at least %v, the life of a worker's record", cfg.SIDTTL, recordTTL))
	}
	if cfg.CacheSize < cacheShards {
		problems = append(problems, fmt.Errorf("directory: CacheSize %d: must be at least %d", cfg.CacheSize, cacheShards))
	}
	return cfg, errors.Join(problems...)
}

// PortApp names the part of an app that is reached at a port of its own: its sessions and workers are apart from those
// of other ports.
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
