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
	Dir     string   // absolute: the command's working directory, which relative paths start from
	Environ []string // the command's environment: what apps inherit, and configurations see
	Logs    string   // absolute: the folder of logs, for `log_file: true`; may be empty where nobody asks for it

	// Stage is --env: the env_<stage> of each app is merged into its environment. Empty: none.
	Stage string

	// Only keeps the apps of these names or namespaces. Empty: all.
	Only []string

	// Options are fields by name that win over those of a file: the flags of a command. Values are text, numbers
	// (float64), booleans and lists of text.
	Options map[string]any

	Argv   []string  // what configurations in JavaScript see in process.argv, behind the program
	Output io.Writer // gets what configurations print; nil: nobody
	Node   string    // the node that evaluates configurations in JavaScript; empty: that of PATH in Environ

	namesOnly bool // scripts and interpreters need not be there
}

// Result is what a file asks for.
type Result struct {
	Apps    []App
	Notices []string // what the author of the file should know; one line each
}

const maxFile = 8 << 20 // bytes; a process file is a few kilobytes

// IsFile reports whether `start` takes a name for that of a process file, as PM2 does.
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

// File reads a process file. Errors are a SyntaxError, FieldErrors joined, or the system's.
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
	v, err := l.read(ctx, path, string(src))
	if err != nil {
		return nil, err
	}
	return l.settle(path, v)
}

// Names reads the names of a file's apps. It needs none of their scripts, which may be gone.
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

// readJSON reads JSON with comments. PM2 evaluates what it calls JSON, so that files of its users have keys without quotes
// and sums: node evaluates those here, too.
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

// node is the program that evaluates configurations; empty where there is none.
func (l *Loader) node() string {
	if l.Node != "" {
		return l.Node
	}
	return l.lookPath("node")
}

// lookPath finds a program in the PATH of the command's environment; empty where there is none.
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

// JSON reads what `start -` gets at its standard input.
func (l *Loader) JSON(ctx context.Context, name string, src []byte) (*Result, error) {
	v, err := l.readJSON(ctx, name, string(src))
	if err != nil {
		return nil, err
	}
	return l.settle(name, v)
}

// Script is the app of a script, or of a text with blanks that is a command for bash, with its arguments.
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

// settle makes apps of what a file says. All that is wrong with it is told at once.
func (l *Loader) settle(file string, v value) (*Result, error) {
	declared, notices, err := declarations(file, v)
	if err != nil {
		return nil, err
	}
	r := &Result{Notices: notices}
	ignored := map[string]bool{}
	var all []error
	found := map[string]bool{}
	for i, d := range declared {
		s := settler{loader: l, file: file, place: i + 1, vendor: ignored}
		app, errs := s.app(d)
		all = append(all, errs...)
		r.Notices = append(r.Notices, s.notices...)
		if len(errs) > 0 {
			continue
		}
		if l.wanted(&app, found) {
			r.Apps = append(r.Apps, app)
		}
	}
	if len(all) > 0 {
		return nil, errors.Join(all...)
	}
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

// wanted reports whether --only lets an app in, and marks what it was found by.
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

// declarations are the apps of a file, in any of the forms that files have.
func declarations(file string, v value) (apps []*object, notices []string, err error) {
	list, isList := v.([]value)
	if top, ok := v.(*object); ok {
		inner, nested := top.get("apps")
		if !nested {
			inner, nested = top.get("pm2")
		}
		if !nested {
			return []*object{top}, nil, nil
		}
		for _, key := range []string{"deploy", "static"} {
			if _, ok := top.get(key); ok {
				notices = append(notices, fmt.Sprintf("%q of the file is not used: it is not part of sidereal", key))
			}
		}
		if list, isList = inner.([]value); !isList {
			list, isList = []value{inner}, true
		}
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
