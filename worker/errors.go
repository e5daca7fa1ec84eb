package worker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// fieldError reports a field of Config that can't work. Only an operator can fix it.
type fieldError struct {
	field string
	value string // passwords hidden
	rule  string
}

func (e *fieldError) Error() string {
	if e.value == "" {
		return fmt.Sprintf("worker: %s: %s", e.field, e.rule)
	}
	return fmt.Sprintf("worker: %s %q: %s", e.field, e.value, e.rule)
}

// refused turns an error of Redis that only an operator can fix into a fieldError. It returns other
// errors unchanged.
func (c *Config) refused(err error) error {
	var wrong *redisconn.ConfigError
	switch {
	case errors.As(err, &wrong):
		return &fieldError{"Redis." + wrong.Field, wrong.Value, wrong.Rule}
	case errors.Is(err, redisconn.ErrNoShards):
		name := adapterenv.FormName(c.Adapter.Form)
		if name == adapterenv.Streams {
			return &fieldError{"Adapter.Form.UseShardedPubSub", "", "needs Redis 7 or later: unset it"}
		}
		return &fieldError{"Adapter.Form", name, "needs Redis 7 or later: use Classic here"}
	}
	if rule := redisconn.Rule(err, c.Redis.URL); rule != "" {
		return &fieldError{"Redis.URL", redisconn.Redact(c.Redis.URL), rule}
	}
	return err
}

// variables names the environment variables of the fields that errors name.
var variables = map[string]string{
	"Addr":           "SIDEREAL_ADDR",
	"Advertise":      "SIDEREAL_ADVERTISE",
	"AdminAddr":      "SIDEREAL_ADMIN_ADDR",
	"AdminUI":        "SIDEREAL_ADMIN_UI",
	"Adapter.Form":   "SIDEREAL_ADAPTER",
	"Redis.URL":      "SIDEREAL_REDIS_URL",
	"Redis.CAFile":   "SIDEREAL_REDIS_CA_FILE",
	"Redis.CertFile": "SIDEREAL_REDIS_CERT_FILE",
	"Redis.KeyFile":  "SIDEREAL_REDIS_KEY_FILE",

	"Adapter.Form.UseShardedPubSub": "SIDEREAL_STREAM_SHARDED_PUBSUB",
}

// withVariables replaces the names of fields in the text of a rule.
var withVariables = strings.NewReplacer(
	"Redis.URL", variables["Redis.URL"], "Advertise", variables["Advertise"], "Classic", adapterenv.Classic,
	"CAFile", variables["Redis.CAFile"], "CertFile", variables["Redis.CertFile"], "KeyFile", variables["Redis.KeyFile"])
