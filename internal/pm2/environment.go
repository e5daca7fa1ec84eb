package pm2

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// environment reads variables from an object, or from text like A=1 B="x y".
func environment(v value) (*object, error) {
	switch v := v.(type) {
	case *object:
		return v, nil
	case string:
		o := newObject()
		for _, w := range split(v) {
			name, val, ok := strings.Cut(w, "=")
			if !ok {
				return nil, wrongType{}
			}
			o.set(name, val)
		}
		return o, nil
	}
	return nil, wrongType{}
}

func (s *settler) setEnv(_ *App, v value) error {
	env, err := environment(v)
	s.envs[""] = env
	return err
}

// fallbacks are the variables that set a field for all apps of a shell, as in PM2.
var fallbacks = map[string]string{
	"stop_signal": "PM2_KILL_SIGNAL", "kill_timeout": "PM2_KILL_TIMEOUT", "listen_timeout": "PM2_GRACEFUL_LISTEN_TIMEOUT",
}

// environments builds the app's environment: first the shell's, without what the file filters, then the
// app's own, and for a stage that of the deploy section and the app's env_<stage>.
func (s *settler) environments(a *App) {
	a.Env = a.Filtered(Shell(s.loader.Environ))
	if s.cwd {
		a.Env["PWD"] = a.Cwd // programs read it for their folder
	}
	if strings.HasPrefix(filepath.Base(a.Interpreter), "python") {
		a.Env["PYTHONUNBUFFERED"] = "1" // else its output comes when the buffer is full
	}
	maps.Copy(a.Env, texts(s.envs[""]))
	for stage, env := range s.envs {
		if stage != "" {
			if a.Stages == nil {
				a.Stages = map[string]map[string]string{}
			}
			a.Stages[stage] = texts(env)
		}
	}
	if stage := s.loader.Stage; stage != "" {
		maps.Copy(a.Env, texts(s.deployed))
		env, ok := a.Stages[stage]
		if !ok && s.file != "" {
			s.notice(a, "there is no env_"+stage+": only env is used")
		}
		maps.Copy(a.Env, env)
	}
	if a.Port != 0 {
		a.Env["PORT"] = numberText(float64(a.Port))
	}
}

// texts returns an environment as text: objects become JSON.
func texts(o *object) map[string]string {
	env := map[string]string{}
	if o != nil {
		for name, v := range o.values {
			env[name] = text(v)
		}
	}
	return env
}

// variable returns a variable of an environment like os.Environ's; empty if it isn't set.
func variable(environ []string, name string) string {
	for _, kv := range slices.Backward(environ) {
		if n, v, ok := strings.Cut(kv, "="); ok && n == name {
			return v
		}
	}
	return ""
}

// Shell returns an environment like os.Environ's as a map.
func Shell(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, v, ok := strings.Cut(kv, "="); ok && name != "" {
			env[name] = v
		}
	}
	return env
}
