package config

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Open makes the connection to Redis that the settings describe. It dials nothing.
func (r Redis) Open(log *slog.Logger, metrics prometheus.Registerer) (*redisconn.Conn, error) {
	conn, err := redisconn.Open(redisconn.Config{
		URL: r.RedisURL, Username: r.RedisUsername, Password: r.RedisPassword,
		CAFile: r.RedisCAFile, CertFile: r.RedisCertFile, KeyFile: r.RedisKeyFile,
		Log: log, Metrics: metrics,
	})
	return conn, r.Problem(err)
}

// redisFields names the variables of the fields that redisconn's errors name.
var redisFields = map[string]string{
	"URL":      "SIDEREAL_REDIS_URL",
	"CAFile":   "SIDEREAL_REDIS_CA_FILE",
	"CertFile": "SIDEREAL_REDIS_CERT_FILE",
	"KeyFile":  "SIDEREAL_REDIS_KEY_FILE",
}

// redisFiles replaces the names of fields in the text of a rule.
var redisFiles = strings.NewReplacer(
	"CAFile", redisFields["CAFile"], "CertFile", redisFields["CertFile"], "KeyFile", redisFields["KeyFile"])

// Problem turns an error that only the operator can fix into a [ValueError], which names the
// variable. It returns other errors unchanged.
func (r Redis) Problem(err error) error {
	var wrong *redisconn.ConfigError
	if errors.As(err, &wrong) {
		return &ValueError{Variable: redisFields[wrong.Field], Value: wrong.Value, Rule: redisFiles.Replace(wrong.Rule)}
	}
	if rule := redisconn.Rule(err, r.RedisURL); rule != "" {
		return &ValueError{Variable: "SIDEREAL_REDIS_URL", Value: Hidden(r.RedisURL), Rule: rule}
	}
	return err
}
