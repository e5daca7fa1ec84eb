package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"
)

// Source is what settings are resolved from.
type Source struct {
	Environ  []string       // as os.Environ gives it
	Flags    *pflag.FlagSet // made by [AddFlags]; nil: none
	Terminal bool           // a person watches: console lines, a short shutdown
}

// Value is one resolved setting.
type Value struct {
	Variable string
	Text     string // as it is used: normalized
	From     string // "flag --addr", "environment PORT", "file /run/secrets/x", "default"
	Secret   bool
	code     bool   // an app may set it in code, and a default doesn't replace that
	unset    string // what a default without a text means, in words; empty where it means nothing
}

// Set reports whether an operator set the value.
func (v Value) Set() bool { return v.From != fromDefault }

const fromDefault = "default"

func fromEnvironment(variable string) string { return "environment " + variable }

// Settings holds the resolved values of one command, in the order of its struct.
type Settings struct {
	Values   []Value
	Warnings []string // unknown variables and the like: one line each, to be logged once a logger exists
}

// Get returns the value of a variable, or the zero Value if the command doesn't read it.
func (s *Settings) Get(variable string) Value {
	i := slices.IndexFunc(s.Values, func(v Value) bool { return v.Variable == variable })
	if i < 0 {
		return Value{}
	}
	return s.Values[i]
}

// Environ returns the settings as an environment in which any command resolves the same values,
// regardless of its defaults. It omits empty settings, and defaults of those that an app may set in
// code.
func (s *Settings) Environ() []string {
	var out []string
	for _, v := range s.Values {
		if v.Text != "" && (v.Set() || !v.code) {
			out = append(out, v.Variable+"="+v.Text)
		}
	}
	return out
}

// Load fills dst, a pointer to a command's struct, from src. The error joins a [ValueError] for
// every wrong value.
func Load(dst any, src Source) (*Settings, error) {
	r := resolver{environ: environ(src.Environ), Source: src}
	s := &Settings{}
	var errs []error
	texts := map[string]string{}
	for _, f := range fields(reflect.TypeOf(dst)) {
		v, err := r.resolve(f)
		if err == nil && v.Text != "" {
			v.Text, err = check(f, v)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.Values = append(s.Values, v)
		texts[f.Variable] = v.Text
	}
	if len(errs) == 0 {
		errs = forgotten(reflect.TypeOf(dst), s)
	}
	errs = append(errs, plain(reflect.TypeOf(dst), r.environ)...)
	s.Warnings = unknown(r.environ)
	if len(errs) > 0 {
		return s, errors.Join(errs...)
	}
	// Every text has been checked, so an error here is a type without a rule.
	if err := env.ParseWithOptions(dst, env.Options{Environment: texts}); err != nil {
		return s, fmt.Errorf("config: %w", err)
	}
	return s, nil
}

func environ(list []string) map[string]string {
	m := make(map[string]string, len(list))
	for _, kv := range list {
		k, v, _ := strings.Cut(kv, "=")
		m[k] = v
	}
	return m
}

// resolver finds the text of a field and its origin. An empty variable counts as unset, because
// compose files and shells leave such variables.
type resolver struct {
	Source
	environ map[string]string
}

func (r *resolver) resolve(f field) (Value, error) {
	v := Value{Variable: f.Variable, Secret: f.secret(), code: f.tag.Get("code") == "may"}
	if r.Flags != nil {
		if flag := r.Flags.Lookup(Flag(f.Variable)); flag != nil && flag.Changed {
			v.Text, v.From = flag.Value.String(), "flag --"+flag.Name
			return v, nil
		}
	}
	text, path := r.environ[f.Variable], ""
	if f.secret() {
		path = r.environ[f.Variable+"_FILE"]
	}
	switch {
	case text != "" && path != "":
		return v, &ValueError{Variable: f.Variable + "_FILE", Value: path,
			Rule: "must not be set together with " + f.Variable}
	case path != "":
		raw, err := os.ReadFile(path)
		if err != nil {
			return v, &ValueError{Variable: f.Variable + "_FILE", Value: path,
				Rule: fmt.Sprintf("must be a file that can be read: %v", errors.Unwrap(err))}
		}
		v.Text, v.From = strings.TrimRight(string(raw), "\r\n"), "file "+path
		return v, nil
	case text != "":
		v.Text, v.From = text, fromEnvironment(f.Variable)
		return v, nil
	}
	for _, name := range f.fallbacks() {
		if text := r.environ[name]; text != "" {
			v.Text, v.From = text, fromEnvironment(name)
			return v, nil
		}
	}
	v.Text, v.From = r.fallbackText(f), fromDefault
	if shown := f.shownDefault(); v.Text == "" && shown != "none" {
		v.unset = shown
	}
	return v, nil
}

// fallbackText returns the default of a field. Some defaults are known at run time only.
func (r *resolver) fallbackText(f field) string {
	switch f.Variable {
	case "SIDEREAL_LOG_FORMAT":
		if r.Terminal {
			return "console"
		}
		return "json"
	case "SIDEREAL_SHUTDOWN_TIMEOUT":
		if r.Terminal {
			return "3s"
		}
		return "35s"
	case "SIDEREAL_HOST_NAME":
		if name, err := os.Hostname(); err == nil {
			return name
		}
		return "localhost"
	}
	return f.Default
}

// check checks a text by the rules of its field, and returns it normalized.
func check(f field, v Value) (string, error) {
	wrong := func(rule string) error {
		e := &ValueError{Variable: f.Variable, Value: v.Text, From: v.From, Rule: rule}
		if f.secret() {
			e.Value = Hidden(v.Text)
		}
		return e
	}
	if words := f.tag.Get("oneof"); words != "" {
		if list := strings.Fields(words); !slices.Contains(list, v.Text) {
			return "", wrong("must be one of " + strings.Join(list, ", "))
		}
	}
	if name := f.tag.Get("form"); name != "" {
		form := forms[name]
		text, err := form.normalize(v.Text)
		if errors.Is(err, errForm) {
			return "", wrong("must be " + form.rule)
		}
		if err != nil {
			return "", wrong(err.Error())
		}
		return text, nil
	}
	least := f.tag.Get("min")
	switch f.kind {
	case reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(v.Text)
		if m, _ := time.ParseDuration(least); err != nil || d < m {
			return "", wrong("must be a duration such as 1500ms, 35s or 2m, at least " + least)
		}
	case reflect.TypeFor[int]():
		n, err := strconv.ParseInt(v.Text, 10, 32)
		if m, _ := strconv.ParseInt(least, 10, 32); err != nil || n < m {
			return "", wrong("must be a whole number, at least " + least)
		}
	}
	return v.Text, nil
}

// forgotten returns an error for each setting that needs another one, which isn't set.
func forgotten(command reflect.Type, s *Settings) (errs []error) {
	for _, f := range fields(command) {
		v, needed := s.Get(f.Variable), f.tag.Get("needs")
		if needed == "" || v.Text == "" || v.Text == "off" || s.Get(needed).Text != "" {
			continue
		}
		e := &ValueError{Variable: f.Variable, Value: v.Text, From: v.From, Rule: "needs " + needed + ", which is not set"}
		if v.Secret {
			e.Value = Hidden(v.Text)
		}
		errs = append(errs, e)
	}
	return errs
}

// plain refuses certificates for a worker that serves clients itself, because it would do so in
// plain text.
func plain(command reflect.Type, environ map[string]string) []error {
	if command != reflect.TypeFor[*Worker]() || environ["SIDEREAL_TLS_CERT"] == "" || environ["SIDEREAL_RUNTIME_DIR"] != "" {
		return nil
	}
	return []error{&ValueError{Variable: "SIDEREAL_TLS_CERT", Value: environ["SIDEREAL_TLS_CERT"],
		Rule: "is for sidereal up and sidereal router: a worker alone doesn't speak TLS; unset it, and put a router before the worker"}}
}
