package redisconn

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Config says which Redis to use and how to show oneself there. Secrets never appear in errors or log lines.
type Config struct {
	// URL names the Redis:
	//
	//	redis[s]://[user:password@]host[:6379][/db]
	//	redis[s]+sentinel://[user:password@]host[:26379][,host…]/master[/db]
	//	redis[s]+cluster://[user:password@]host[:6379][,host…]
	//
	// With an s the connection is TLS. Sentinels that want a password of their own get it as
	// ?sentinel_username=…&sentinel_password=…. Special characters in user and password are percent-encoded.
	URL string `env:"SIDEREAL_REDIS_URL"`
	// URLName is the variable that URL came from, for error messages; empty means SIDEREAL_REDIS_URL.
	URLName string
	// Username and Password, when not empty, win over those in URL.
	Username string `env:"SIDEREAL_REDIS_USERNAME"`
	Password string `env:"SIDEREAL_REDIS_PASSWORD"`
	// CAFile holds the PEM certificates that Redis's certificate must descend from; empty means the system's.
	// CertFile and KeyFile are shown to Redis; both or none. All three need a TLS URL.
	CAFile   string `env:"SIDEREAL_REDIS_CA_FILE"`
	CertFile string `env:"SIDEREAL_REDIS_CERT_FILE"`
	KeyFile  string `env:"SIDEREAL_REDIS_KEY_FILE"`

	// Log gets one line when Redis is lost and one when it is back.
	Log zerolog.Logger
	// Metrics registers sidereal_redis_up; nil registers nothing.
	Metrics prometheus.Registerer
}

// ConfigError reports a setting that cannot work. It is the operator's to mend, and waiting does not help.
type ConfigError struct {
	Name  string // the variable
	Value string // as given, passwords hidden; empty when it adds nothing
	Rule  string // what a right value looks like
}

func (e *ConfigError) Error() string {
	if e.Value == "" {
		return e.Name + ": " + e.Rule
	}
	return fmt.Sprintf("%s: %q: %s", e.Name, e.Value, e.Rule)
}

// tlsConfig reads the files that cfg names. The server name is left open: it is the host of each address dialled.
func (cfg Config) tlsConfig() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, &ConfigError{"SIDEREAL_REDIS_CA_FILE", cfg.CAFile, "must be a readable file: " + err.Error()}
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &ConfigError{"SIDEREAL_REDIS_CA_FILE", cfg.CAFile, "must hold at least one PEM certificate"}
		}
	}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, &ConfigError{"SIDEREAL_REDIS_CERT_FILE", cfg.CertFile, "needs SIDEREAL_REDIS_KEY_FILE, and the other way round"}
	}
	if cfg.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, &ConfigError{"SIDEREAL_REDIS_CERT_FILE", cfg.CertFile, "must be a PEM certificate that fits SIDEREAL_REDIS_KEY_FILE: " + err.Error()}
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
