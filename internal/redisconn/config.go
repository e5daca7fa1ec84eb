package redisconn

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says which Redis to use and how to log in there. Passwords never appear in errors or logs.
type Config struct {
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
	// Username and Password, when not empty, replace those of the URL.
	Username, Password string
	// CAFile holds the PEM certificates that sign Redis's; empty means the system's. CertFile and
	// KeyFile are shown to Redis; both or none. All three need a TLS URL.
	CAFile, CertFile, KeyFile string

	// Log gets one line when Redis is lost and one when it is back.
	Log *slog.Logger
	// Metrics registers sidereal_redis_up; nil registers nothing.
	Metrics prometheus.Registerer
}

// ConfigError reports a field of a Config that can't work. Only an operator can fix it; waiting
// doesn't help.
type ConfigError struct {
	Field string // of Config
	Value string // as given, passwords hidden; empty when it adds nothing
	Rule  string // what a right value looks like
}

func (e *ConfigError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("redis: %s: %s", e.Field, e.Rule)
	}
	return fmt.Sprintf("redis: %s %q: %s", e.Field, e.Value, e.Rule)
}

// tlsConfig reads the files that cfg names. The server name is left open: it is the host of each
// address dialled.
func (cfg Config) tlsConfig() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, &ConfigError{"CAFile", cfg.CAFile, "must be a readable file: " + err.Error()}
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &ConfigError{"CAFile", cfg.CAFile, "must hold at least one PEM certificate"}
		}
	}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, &ConfigError{"CertFile", cfg.CertFile, "must be set together with KeyFile"}
	}
	if cfg.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, &ConfigError{"CertFile", cfg.CertFile, "must be a PEM certificate with the key in KeyFile: " + err.Error()}
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
