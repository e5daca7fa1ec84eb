package pm2

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

// interpreters are the programs for scripts, by extension. The first one found is taken.
var interpreters = map[string][]string{
	".sh": {"bash", "sh"}, ".py": {"python", "python3"}, ".rb": {"ruby"}, ".php": {"php"}, ".pl": {"perl"},
	".ts": {"bun", "ts-node", "tsx", "node"}, ".tsx": {"bun", "ts-node", "tsx"}, // node from 22.18 on takes .ts by itself
}

// program finds the script and its interpreter.
func (s *settler) program(a *App) error {
	path := resolve(a.Cwd, s.home(a.Script))
	if a.Static && s.loader.Program != "" {
		a.Script, a.Interpreter = s.loader.Program, "none"
		return nil
	}
	if s.loader.namesOnly {
		a.Script, a.Interpreter = path, "none"
		return nil
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() && (a.Interpreter == "" || isNode(a.Interpreter)) && isPackage(path) {
		a.Script = path
		a.Interpreter = cmp.Or(a.Interpreter, "node")
		return nil
	}
	if err != nil || info.IsDir() {
		found := s.loader.lookPath(a.Script)
		if found == "" {
			if err == nil {
				return &FieldError{Field: "script", Rule: path + " is a folder without package.json and index.js: name the file in it"}
			}
			return &FieldError{Field: "script", Rule: fmt.Sprintf("%s doesn't exist, and no program in PATH has that name", path)}
		}
		path = found
	}
	a.Script = path
	if a.Interpreter == "" {
		if a.Interpreter, err = s.interpreter(a, path); err != nil {
			return err
		}
		return nil
	}
	if a.Interpreter == "none" || isNode(a.Interpreter) {
		return nil
	}
	if a.Interpreter == "python" && s.loader.lookPath("python") == "" {
		a.Interpreter = "python3"
	}
	if strings.Contains(a.Interpreter, "/") {
		a.Interpreter = resolve(a.Cwd, s.home(a.Interpreter))
		if _, err := os.Stat(a.Interpreter); err != nil {
			return &FieldError{Field: "interpreter", Rule: a.Interpreter + " doesn't exist"}
		}
		return nil
	}
	if s.loader.lookPath(a.Interpreter) == "" {
		return &FieldError{Field: "interpreter", Rule: fmt.Sprintf("%q isn't in PATH: install it, or name another", a.Interpreter)}
	}
	return nil
}

// isPackage reports whether node can run a folder.
func isPackage(dir string) bool {
	for _, name := range []string{"package.json", "index.js"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// interpreter chooses the interpreter of a script by its extension.
func (s *settler) interpreter(a *App, path string) (string, error) {
	programs, known := interpreters[filepath.Ext(path)]
	for _, p := range programs {
		if s.loader.lookPath(p) != "" {
			if p != programs[0] && s.file != "" {
				s.notice(a, fmt.Sprintf("%s runs it: there is no %s in PATH", p, programs[0]))
			}
			return p, nil
		}
	}
	if known {
		return "", &FieldError{Field: "interpreter", Rule: fmt.Sprintf("for %s isn't in PATH: install %s, or name another", filepath.Base(path), strings.Join(programs, " or "))}
	}
	if itself, script := runsByItself(path); itself {
		if script && s.file != "" {
			s.notice(a, "runs by itself, as its first line says: PM2 gives such a script to node")
		}
		return "none", nil
	}
	return "node", nil
}

// wrappers are the programs that run a command of a package.json, as they are called in PATH and in
// their packages.
var wrappers = regexp.MustCompile(`^(npm|npx|yarn|yarnpkg|pnpm|pnpx|bun|bunx|corepack)(-cli|-[0-9][0-9.]*)?(\.c?js)?$`)

// isWrapper reports whether a script only starts the app, which then is a process that belongs to
// no cluster.
func isWrapper(script string) bool { return wrappers.MatchString(filepath.Base(script)) }

// runsByItself reports whether a file is a machine program, or a script that names another
// interpreter than node.
func runsByItself(path string) (itself, script bool) {
	f, err := os.Open(path)
	if err != nil {
		return false, false
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if n == 0 && err != nil {
		return false, false
	}
	head = head[:n]
	if bytes.HasPrefix(head, []byte("#!")) {
		line, _, _ := bytes.Cut(head, []byte("\n"))
		info, err := f.Stat()
		return !bytes.Contains(line, []byte("node")) && err == nil && info.Mode()&0o111 != 0, true
	}
	for len(head) > 0 {
		r, size := utf8.DecodeRune(head)
		if r == 0 || r == utf8.RuneError && size == 1 && len(head) >= utf8.UTFMax {
			return true, false
		}
		head = head[size:]
	}
	return false, false
}
