package host

import (
	"slices"
	"strings"

	"github.com/sidereal-io/sidereal/internal/config"
)

// unprefixed are settings whose names don't begin with SIDEREAL_ or LISTEN_.
var unprefixed = []string{"REDIS_URL", "PM2_PORT", "PORT", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

// serviceEnviron is an environment without anything that a service would take for a setting.
func serviceEnviron(environ []string) (env []string) {
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "SIDEREAL_") && !strings.HasPrefix(name, "LISTEN_") && !slices.Contains(unprefixed, name) {
			env = append(env, kv)
		}
	}
	return env
}

// apiKeys is the variable with the keys of the HTTP API, which only that process gets. adminKey is
// the dashboard's, which only this process needs.
const (
	apiKeys  = "SIDEREAL_API_KEYS"
	adminKey = "SIDEREAL_ADMIN_KEY"
)

// settingsEnviron are an app's settings as its services and Go workers read them.
func settingsEnviron(app *App, facts *Facts, advertise string) []string {
	env := append(slices.Clone(app.Variables), "SIDEREAL_RUNTIME_DIR="+facts.Dir)
	env = slices.DeleteFunc(env, func(kv string) bool {
		return strings.HasPrefix(kv, apiKeys+"=") || strings.HasPrefix(kv, adminKey+"=")
	})
	if advertise != "" {
		env = append(env, "SIDEREAL_ADVERTISE="+advertise)
	}
	return append(env, redisEnviron(facts.Redis)...)
}

func redisEnviron(embedded *config.Redis) []string {
	if embedded == nil {
		return nil
	}
	return []string{"SIDEREAL_REDIS_URL=" + embedded.RedisURL, "SIDEREAL_REDIS_PASSWORD=" + embedded.RedisPassword}
}

// Inherited is the part of this process' environment that the workers of `sidereal up` get: all of
// it, without what only a supervisor may tell a process, and without the settings, whose resolved
// values come in their place.
func Inherited(environ []string, settings *config.Settings) (env []string) {
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if settings.Get(strings.TrimSuffix(name, "_FILE")).Variable == "" && !config.ForChild(name) {
			env = append(env, kv)
		}
	}
	return env
}

// merged joins environments. A later value of a variable replaces an earlier one.
func merged(environs ...[]string) (env []string) {
	at := map[string]int{}
	for _, kv := range slices.Concat(environs...) {
		name, _, _ := strings.Cut(kv, "=")
		if i, known := at[name]; known {
			env[i] = kv
			continue
		}
		at[name] = len(env)
		env = append(env, kv)
	}
	return env
}

// has reports whether a variable is set to something.
func has(environ []string, name string) bool {
	return slices.ContainsFunc(environ, func(kv string) bool { return strings.HasPrefix(kv, name+"=") && kv != name+"=" })
}
