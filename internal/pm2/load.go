package pm2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Loader reads process files for one command. Its methods may be called concurrently.
type Loader struct {
	Dir     string   // the command's working directory, absolute: relative paths start there
	Environ []string // the command's environment: apps inherit it, and files in JavaScript see it
	Program string   // this program, absolute, which serves folders; may be empty otherwise
	Logs    string   // the folder of logs, absolute, for `log_file: true`; may be empty otherwise

	// Stage is --env: the env_<stage> of each app is merged into its environment. Empty: none.
	Stage string

	// Only keeps the apps of these names or namespaces. Empty: all.
	Only []string

	// Options are fields by name that override those of a file: the flags of a command. Values are
	// text, numbers (float64), booleans and lists of text.
	Options map[string]any

	Argv   []string  // process.argv of files in JavaScript, behind the program
	Output io.Writer // gets what such files print; nil: nobody
	Node   string    // the node that evaluates them; empty: the one in Environ's PATH

	namesOnly bool // scripts and interpreters needn't exist
}

// Result has the apps of a file.
type Result struct {
	Apps    []App
	Notices []string // for the author of the file, one line each
	Missing []error  // of further apps, whose script or interpreter isn't there
}

const maxFile = 8 << 20 // bytes; a process file is a few kilobytes

// IsFile reports whether a name is that of a process file, by PM2's rule.
func IsFile(name string) bool { return kindOf(name) != notFile }

type fileKind int

const (
	notFile fileKind = iota
	jsonFile
	yamlFile
	moduleFile
)

func kindOf(name string) fileKind {
	switch base := filepath.Base(name); {
	case strings.Contains(base, ".config.js") && !strings.Contains(base, ".config.json"), strings.Contains(base, ".config.cjs"), strings.Contains(base, ".config.mjs"):
		return moduleFile
	case strings.Contains(base, ".json"):
		return jsonFile
	case strings.Contains(base, ".yml"), strings.Contains(base, ".yaml"):
		return yamlFile
	}
	return notFile
}

// File reads a process file. It returns a SyntaxError, joined FieldErrors, or an error of the system.
func (l *Loader) File(ctx context.Context, path string) (*Result, error) {
	path = resolve(l.Dir, path)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(src) > maxFile {
		return nil, &SyntaxError{File: path, Rule: fmt.Sprintf("is larger than %d MB", maxFile>>20)}
	}
	own := *l // a file may change the environment of its apps
	v, err := own.read(ctx, path, string(src))
	if err != nil {
		return nil, err
	}
	return own.settle(path, v)
}

// Names reads the names of a file's apps. Their scripts may be missing.
func (l *Loader) Names(ctx context.Context, path string) (names []string, err error) {
	names = []string{}
	only := *l
	only.namesOnly = true
	r, err := only.File(ctx, path)
	if err != nil {
		return nil, err
	}
	for _, a := range r.Apps {
		if !slices.Contains(names, a.Name) {
			names = append(names, a.Name)
		}
	}
	return names, nil
}

func (l *Loader) read(ctx context.Context, path, src string) (value, error) {
	switch kindOf(path) {
	case yamlFile:
		return readYAML(path, src)
	case moduleFile:
		return l.evaluate(ctx, path, nil)
	}
	return l.readJSON(ctx, path, src)
}

// readJSON reads JSON with comments. PM2 evaluates what it calls JSON, so its users' files may have
// unquoted keys and sums. Node evaluates those here, too.
func (l *Loader) readJSON(ctx context.Context, file, src string) (value, error) {
	v, err := readJSON(file, src)
	var syntax *SyntaxError
	switch {
	case !errors.As(err, &syntax):
		return v, err
	case l.node() == "":
		syntax.Rule += advice
		return nil, syntax
	}
	return l.evaluate(ctx, file, &src)
}

// node returns the program that evaluates JavaScript; empty if there is none.
func (l *Loader) node() string {
	if l.Node != "" {
		return l.Node
	}
	return l.lookPath("node")
}

// lookPath finds a program in the PATH of the command's environment. It returns the empty string if
// there is none.
func (l *Loader) lookPath(program string) string {
	if strings.Contains(program, "/") {
		return ""
	}
	for _, dir := range filepath.SplitList(variable(l.Environ, "PATH")) {
		full, err := exec.LookPath(filepath.Join(resolve(l.Dir, dir), program))
		if err == nil {
			return full
		}
	}
	return ""
}

// resolve makes a path that is relative to dir absolute.
func resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// JSON reads the standard input of `start -`.
func (l *Loader) JSON(ctx context.Context, name string, src []byte) (*Result, error) {
	own := *l
	v, err := own.readJSON(ctx, name, string(src))
	if err != nil {
		return nil, err
	}
	return own.settle(name, v)
}

// Script returns the app of a script with its arguments. A script with blanks may be a command for
// bash.
func (l *Loader) Script(script string, args []string) (*Result, error) {
	app := newObject()
	app.set("script", script)
	if len(args) > 0 {
		list := make([]value, len(args))
		for i, a := range args {
			list[i] = a
		}
		app.set("args", list)
	}
	return l.settle("", app)
}

// settle makes the apps of a file, and reports all of its errors at once. An app whose script or
// interpreter isn't there keeps no other from being run.
func (l *Loader) settle(file string, v value) (*Result, error) {
	declared, notices, err := declarations(file, v)
	if err != nil {
		return nil, err
	}
	r := &Result{}
	ignored := map[string]bool{}
	var all []error
	found := map[string]bool{}
	deployed := deployEnv(v, l.Stage)
	for i, d := range declared {
		s := settler{loader: l, file: file, place: i + 1, vendor: ignored, deployed: deployed}
		app, errs := s.app(d)
		if app.Name != "" && !l.wanted(&app, found) {
			continue // what is wrong with it is no matter
		}
		all = append(all, errs...)
		notices = append(notices, s.notices...)
		switch {
		case s.missing:
			r.Missing = append(r.Missing, errs...)
		case len(errs) == 0:
			r.Apps = append(r.Apps, app)
		}
	}
	if len(all) > len(r.Missing) || len(r.Apps) == 0 && len(all) > 0 {
		return nil, errors.Join(all...)
	}
	r.Notices = lines(notices)
	if len(ignored) > 0 {
		r.Notices = append(r.Notices, vendorNotice(ignored))
	}
	for _, only := range l.Only {
		if !found[only] {
			return nil, &SyntaxError{File: file, Rule: fmt.Sprintf("has no app %s", only)}
		}
	}
	return r, nil
}

// wanted reports whether --only selects an app, and marks the name or namespace in found.
func (l *Loader) wanted(app *App, found map[string]bool) bool {
	if len(l.Only) == 0 {
		return true
	}
	in := false
	for _, name := range []string{app.Name, app.Namespace} {
		if slices.Contains(l.Only, name) {
			in, found[name] = true, true
		}
	}
	return in
}

// deployEnv returns the variables that the deploy section of a file has for a stage; nil if there are
// none.
func deployEnv(v value, stage string) *object {
	for _, key := range []string{"deploy", stage, "env"} {
		o, ok := v.(*object)
		if !ok {
			return nil
		}
		v, _ = o.get(key)
	}
	env, _ := v.(*object)
	return env
}

// declarations returns the apps of a file, in any of the forms that files have.
func declarations(file string, v value) (apps []*object, notices []notice, err error) {
	list, isList := v.([]value)
	if top, ok := v.(*object); ok {
		inner, nested := top.get("apps")
		if !nested {
			inner, nested = top.get("pm2")
		}
		if !nested {
			return []*object{top}, nil, nil
		}
		if _, ok := top.get("deploy"); ok {
			notices = append(notices, notice{text: `"deploy" of the file isn't used, except its env: it isn't part of sidereal`})
		}
		if list, isList = inner.([]value); !isList {
			list, isList = []value{inner}, true
		}
		served, err := staticApps(file, top)
		if err != nil {
			return nil, nil, err
		}
		list = slices.Concat(list, served)
	}
	if !isList {
		return nil, nil, &SyntaxError{File: file, Rule: fmt.Sprintf("must be apps: {apps: [...]}, a list, or one app; it is %s", typeOf(v))}
	}
	if len(list) == 0 {
		return nil, nil, &SyntaxError{File: file, Rule: "has no apps"}
	}
	for i, e := range list {
		app, ok := e.(*object)
		if !ok {
			return nil, nil, &FieldError{File: file, App: fmt.Sprintf("app %d", i+1), Rule: fmt.Sprintf("must be an object, not %s", typeOf(e))}
		}
		apps = append(apps, app)
	}
	return apps, notices, nil
}
