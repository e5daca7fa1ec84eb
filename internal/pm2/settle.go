package pm2

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// settler makes an App of an object in a file.
type settler struct {
	loader  *Loader
	file    string
	place   int // of the app in its file, from 1
	vendor  map[string]bool
	notices []notice

	deployed *object // variables for the stage, of the file's deploy section

	static    bool // the command is for a folder's files
	instances bool // a number of instances is asked for
	cwd       bool // a working directory is
	mode      bool // exec_mode is
	missing   bool // the script or its interpreter isn't there
	merge     bool
	append    bool
	logFile   bool // log_file is true: a file of its default name
	envs      map[string]*object
}

// notice is a line for the author of a file.
type notice struct {
	app  string // empty on a command line
	text string
}

// lines returns each text once, behind the apps that it is about.
func lines(notices []notice) (out []string) {
	for i, n := range notices {
		var apps []string
		first := i
		for k, other := range notices {
			if other.text == n.text {
				first = min(first, k)
				if other.app != "" && !slices.Contains(apps, other.app) {
					apps = append(apps, other.app)
				}
			}
		}
		switch {
		case first < i:
		case len(apps) == 0:
			out = append(out, n.text)
		default:
			out = append(out, strings.Join(apps, ", ")+": "+n.text)
		}
	}
	return out
}

// app settles one app, and reports all of its errors.
func (s *settler) app(o *object) (App, []error) {
	app := Default()
	app.Interpreter = ""
	s.envs = map[string]*object{}
	given, envs := s.canonical(o)
	if name, ok := given["name"].(string); ok {
		app.Name = name // messages begin with it
	}
	var errs []error
	for i := range allFields {
		f := &allFields[i]
		v, ok := given[f.name]
		if !ok {
			continue
		}
		if err := f.set(s, &app, v); err != nil {
			errs = append(errs, s.wrong(&app, f, v, err))
		}
	}
	for _, stage := range slices.Sorted(maps.Keys(envs)) {
		v := envs[stage]
		env, err := environment(v)
		if err != nil {
			errs = append(errs, &FieldError{s.file, s.called(&app), "env_" + stage, fieldByName["env"].typeRule(v)})
			continue
		}
		s.envs[stage] = env
	}
	if len(errs) > 0 {
		return app, errs
	}
	if err := s.complete(&app); err != nil {
		return app, []error{s.named(&app, err)}
	}
	if err := app.Validate(); err != nil {
		return app, s.namedAll(&app, err)
	}
	return app, nil
}

// called returns the name of the app in messages; empty on a command line, which has one app.
func (s *settler) called(a *App) string {
	switch {
	case s.file == "":
		return ""
	case a.Name != "":
		return a.Name
	}
	return fmt.Sprintf("app %d", s.place)
}

func (s *settler) wrong(a *App, f *field, v value, err error) error {
	rule := err.Error()
	if errors.As(err, &wrongType{}) {
		rule = f.typeRule(v)
		if shown, ok := v.(string); ok && typeOf(v) == "text" {
			rule = fmt.Sprintf("must be %s, not %q", strings.Join(f.types, " or "), shown)
		}
	}
	return &FieldError{s.file, s.called(a), f.name, rule}
}

// named adds file and app to an error that has neither.
func (s *settler) named(a *App, err error) error {
	var field *FieldError
	if errors.As(err, &field) {
		return &FieldError{s.file, s.called(a), field.Field, field.Rule}
	}
	return err
}

func (s *settler) namedAll(a *App, err error) (errs []error) {
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range list.Unwrap() {
			errs = append(errs, s.named(a, e))
		}
		return errs
	}
	return []error{s.named(a, err)}
}

var stageName = regexp.MustCompile(`^env_(\S+)$`)

// canonical gives each field its one name, and separates the environments of stages. A command's option
// overrides the file, and a field's own name overrides its aliases. A null is no value.
func (s *settler) canonical(o *object) (given map[string]value, envs map[string]value) {
	given, envs = map[string]value{}, map[string]value{}
	byAlias := map[string]bool{}
	for _, key := range o.keys {
		v := o.values[key]
		if v == nil {
			continue
		}
		name := key
		f, known := fieldByName[name]
		if !known {
			name = snake(key)
			f, known = fieldByName[name]
		}
		switch {
		case known:
			if _, taken := given[f.name]; taken && !byAlias[f.name] {
				continue
			}
			given[f.name], byAlias[f.name] = v, name != f.name
		case isVendor[name]:
			s.vendor[name] = true
		case key == "env_file" && typeOf(v) == "text":
			s.notices = append(s.notices, notice{text: "env_file isn't read, as in PM2: load it in the file with dotenv, or in the app with node_args --env-file"})
		case stageName.MatchString(key):
			envs[stageName.FindStringSubmatch(key)[1]] = v
		}
	}
	for name, v := range s.loader.Options {
		given[name] = option(v)
	}
	for name, shell := range fallbacks {
		if text := variable(s.loader.Environ, shell); given[name] == nil && text != "" {
			given[name] = text
		}
	}
	return given, envs
}

// option returns a command's flag as a value of a file.
func option(v any) value {
	if list, ok := v.([]string); ok {
		values := make([]value, len(list))
		for i, e := range list {
			values[i] = e
		}
		return values
	}
	return v
}

func vendorNotice(fields map[string]bool) string {
	return "not used here, and not needed: " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
}

// complete sets the fields that depend on other fields.
func (s *settler) complete(a *App) error {
	if a.Script == "" {
		return &FieldError{Field: "script", Rule: "is missing: it says what to run"}
	}
	s.cwd = a.Cwd != ""
	a.Cwd = resolve(s.loader.Dir, s.home(a.Cwd))
	a.Static = a.Script == staticScript && (s.file != "" || s.static)
	s.command(a)
	if a.Name == "" {
		a.Name = nameOf(resolve(a.Cwd, a.Script)) // of ".", too
	}
	if err := s.program(a); err != nil {
		s.missing = true
		return err
	}
	if !s.merge {
		a.MergeLogs = a.ExecMode == Fork && (!s.instances || a.Instances == 0) // as the file says it; PM2 takes 0 for unset here
	}
	s.execMode(a)
	if a.ExecMode == Cluster && isWrapper(a.Script) {
		a.ExecMode = Fork
		s.notice(a, filepath.Base(a.Script)+" starts the app in a process of its own, which can't share a port: fork mode, and reload restarts it")
	}
	s.environments(a)
	s.paths(a)
	if s.append && s.loader.Stage != "" {
		a.Name += "-" + s.loader.Stage
	}
	s.differences(a)
	return nil
}

// nameOf names an app after its script or command: by what is between the last slash and the last
// point, as in PM2.
func nameOf(script string) string {
	base := filepath.Base(script)
	if name := strings.TrimSuffix(base, filepath.Ext(base)); name != "" {
		return name
	}
	return base
}

// command turns a script that is a command with blanks into one for a shell.
func (s *settler) command(a *App) {
	if !strings.Contains(strings.TrimSpace(a.Script), " ") {
		return
	}
	if _, err := os.Stat(resolve(a.Cwd, s.home(a.Script))); err == nil {
		return
	}
	if a.Name == "" {
		a.Name = nameOf(a.Script)
	}
	a.Args = []string{"-c", a.Script}
	a.Script, a.Interpreter = "bash", "none"
	if s.loader.lookPath(a.Script) == "" {
		a.Script = "sh"
	}
}

// execMode decides between cluster and fork where the file does not, by PM2's rule.
func (s *settler) execMode(a *App) {
	switch {
	case a.Static: // the processes share their port by themselves
		a.ExecMode = Fork
		return
	case !isNode(a.Interpreter):
		if a.ExecMode == Cluster {
			a.ExecMode, a.SharePort = Fork, true
			s.notice(a, "exec_mode cluster is for Node scripts: this one runs in fork mode. Each instance must listen at its own PORT, and they share the public one")
		}
		return
	case s.mode:
		return
	}
	if s.instances && a.Instances >= -1 {
		a.ExecMode = Cluster
	}
	if a.Instances < -1 {
		s.notice(a, fmt.Sprintf("instances %d without exec_mode is fork mode, as in PM2: say exec_mode cluster to have the instances share their port", a.Instances))
	}
}

func isNode(interpreter string) bool {
	base := filepath.Base(interpreter)
	return base == "node" || base == "nodejs"
}

func (s *settler) notice(a *App, text string) {
	s.notices = append(s.notices, notice{s.called(a), text})
}

// differences says what a file's app does otherwise than with PM2.
func (s *settler) differences(a *App) {
	if s.file == "" || s.loader.namesOnly {
		return
	}
	if !a.Static && !a.SharePort && !OnNode(a.Interpreter) && s.instances && a.Instances != 1 {
		s.notice(a, "each of its processes gets a PORT of its own, and they share the public one: with PM2 all get the same PORT")
	}
	if a.ExecMode == Cluster && a.Interpreter != "node" {
		s.notice(a, "cluster mode runs "+a.Interpreter+", not the daemon's node")
	}
	if !a.TreeKill {
		s.notice(a, "treekill false spares its children until the daemon ends, and not longer")
	}
}

// nodes has the names of interpreters that are Node, or run on it.
var nodes = []string{"node", "nodejs", "ts-node", "tsx", "babel-node", "coffee", "lsc"}

// LikeNode reports whether an interpreter is another runtime with Node's interfaces. It speaks over
// an IPC channel, but is no worker of Node's cluster, which hands it no connections.
func LikeNode(interpreter string) bool {
	base := filepath.Base(interpreter)
	return base == "bun" || base == "deno"
}

// OnNode reports whether an interpreter is Node, or runs on it.
func OnNode(interpreter string) bool { return slices.Contains(nodes, filepath.Base(interpreter)) }

// paths makes all paths absolute, from the app's working directory.
func (s *settler) paths(a *App) {
	for _, path := range []*string{&a.OutFile, &a.ErrorFile, &a.LogFile, &a.PIDFile} {
		switch {
		case *path == "":
		case strings.EqualFold(*path, "null"), *path == LogOff:
			*path = LogOff
		default:
			*path = resolve(a.Cwd, s.home(*path))
		}
	}
	if s.logFile && s.loader.Logs != "" {
		a.LogFile = filepath.Join(s.loader.Logs, FileName(a.Name)+".log")
	}
	for i, path := range a.Watch {
		a.Watch[i] = resolve(a.Cwd, s.home(path))
	}
}

// home replaces a leading tilde of a path by the user's folder.
func (s *settler) home(path string) string {
	rest, ok := strings.CutPrefix(path, "~")
	if !ok || rest != "" && rest[0] != '/' {
		return path
	}
	home := variable(s.loader.Environ, "HOME")
	if home == "" {
		if u, err := user.Current(); err == nil {
			home = u.HomeDir
		}
	}
	return home + rest
}
