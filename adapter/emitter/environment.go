package emitter

import (
	"log/slog"
	"os"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// FromEnv makes an Emitter for the main namespace, "/", from the variables that the servers read:
// SIDEREAL_REDIS_URL and its siblings, SIDEREAL_ADAPTER, and what that adapter needs
// (docs/configuration.md). It dials nothing. A command whose answer is lost isn't repeated. Close
// the Emitter when nothing uses it any more.
//
// The error has a line for each variable that is missing or wrong. FromEnv logs a warning to
// slog.Default() for each SIDEREAL_* variable that nothing reads.
func FromEnv() (*Emitter, error) { return fromEnv(os.Environ()) }

func fromEnv(environ []string) (*Emitter, error) {
	var set config.Emitter
	loaded, err := config.Load(&set, config.Source{Environ: environ})
	if err != nil {
		return nil, err
	}
	for _, warning := range loaded.Warnings {
		slog.Warn(warning)
	}
	switch {
	case set.Adapter == "memory":
		return nil, &config.ValueError{Variable: "SIDEREAL_ADAPTER", Value: set.Adapter, Rule: "must be an adapter over Redis: other processes can't reach a server in memory"}
	case set.RedisURL == "":
		return nil, &config.ValueError{Variable: "SIDEREAL_REDIS_URL", Rule: "must name the servers' Redis"}
	}
	conn, err := redisconn.Open(redisconn.Config{
		URL: set.RedisURL, Username: set.RedisUsername, Password: set.RedisPassword,
		CAFile: set.RedisCAFile, CertFile: set.RedisCertFile, KeyFile: set.RedisKeyFile,
	})
	if err != nil {
		return nil, set.Problem(err)
	}
	e, err := New(Config{Redis: conn.Client(), Form: form(set), Key: set.AdapterKey, MaxMessageBytes: set.MaxMessageBytes})
	if err != nil {
		_ = conn.Close() // it was never used
		return nil, err
	}
	e.conn = conn
	return e, nil
}

// form is the form that the settings name.
func form(set config.Emitter) Form {
	switch set.Adapter {
	case "redis-sharded":
		return Sharded{Mode: Mode(set.AdapterMode)}
	case "redis-streams":
		return Streams{StreamName: set.StreamName, StreamCount: set.StreamCount, MaxLen: set.StreamMaxLen}
	}
	return Classic{}
}
