package config

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Open makes the connection to Redis that the settings describe.
func (r Redis) Open(log zerolog.Logger, metrics prometheus.Registerer) (*redisconn.Conn, error) {
	return redisconn.Open(redisconn.Config{
		URL: r.RedisURL, Username: r.RedisUsername, Password: r.RedisPassword,
		CAFile: r.RedisCAFile, CertFile: r.RedisCertFile, KeyFile: r.RedisKeyFile,
		Log: log, Metrics: metrics,
	})
}

// Problem puts an error of Redis that only the operator can mend into one line with the variable that is wrong. Other
// errors come back as they are.
func (r Redis) Problem(err error) error {
	if errors.Is(err, redisconn.ErrAuth) || errors.Is(err, redisconn.ErrRights) || errors.Is(err, redisconn.ErrDatabase) {
		return &ValueError{Variable: "SIDEREAL_REDIS_URL", Value: Hidden(r.RedisURL), Rule: "is refused: " + err.Error()}
	}
	if errors.Is(err, redisconn.ErrMoved) && !strings.Contains(r.RedisURL, "+cluster://") {
		return &ValueError{Variable: "SIDEREAL_REDIS_URL", Value: Hidden(r.RedisURL), Rule: "is a node of a Redis Cluster: begin with redis+cluster:// or rediss+cluster://"}
	}
	return err
}
