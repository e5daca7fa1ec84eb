package pm2

import (
	"path/filepath"
	"strings"
)

// world is what a configuration in JavaScript finds around it when there is no node to evaluate it.
type world struct {
	file    string // absolute
	dir     string // the working directory
	environ []string
	cores   int
}

// builtin is a part of node that configurations use, by its name.
type builtin string

// advice ends the message about a configuration that only node can evaluate.
const advice = "; install node to have it evaluated, or write the file as JSON or YAML"

// readModule reads a configuration in JavaScript without node: what `module.exports =` or `export default` gives, made of
// literals, constants, the environment, paths and the number of cores.
func readModule(file, src string, w *world) (value, error) {
	p := newParser(file, src, w)
	v, err := p.module()
	if s, ok := err.(*SyntaxError); ok {
		s.Rule += advice
	}
	return v, err
}

func (p *parser) module() (value, error) {
	var exported value = undefined{}
	if err := p.advance(); err != nil {
		return nil, err
	}
	for p.tok.kind != tokenEnd {
		found, v, err := p.statement()
		if err != nil {
			return nil, err
		}
		if found {
			exported = v
		}
	}
	if _, none := exported.(undefined); none {
		return nil, p.fail("nothing is exported")
	}
	return p.result(exported)
}

// statement reads one statement, and reports what it exports.
func (p *parser) statement() (exports bool, v value, err error) {
	switch {
	case p.is(";"):
		return false, nil, p.advance()
	case p.tok.kind == tokenString: // "use strict"
		return false, nil, p.advance()
	case p.tok.kind != tokenName:
		return false, nil, p.unexpected()
	}
	switch word := p.tok.text; word {
	case "const", "let", "var":
		return false, nil, p.declaration()
	case "import":
		return false, nil, p.importation()
	case "export":
		if err := p.advance(); err != nil {
			return false, nil, err
		}
		if p.tok.text != "default" {
			return false, nil, p.fail("only `export default` can be read here")
		}
		if err := p.advance(); err != nil {
			return false, nil, err
		}
	case "module":
		for _, want := range []string{"module", ".", "exports", "="} {
			if p.tok.text != want {
				return false, nil, p.unexpected()
			}
			if err := p.advance(); err != nil {
				return false, nil, err
			}
		}
	default:
		return false, nil, p.fail("%q cannot be read here", word)
	}
	v, err = p.expression()
	return true, v, err
}

// declaration reads `const name = value`, and `const {a, b} = require(...)`.
func (p *parser) declaration() error {
	if err := p.advance(); err != nil {
		return err
	}
	names, pattern, err := p.binding()
	if err != nil {
		return err
	}
	if err := p.expect("="); err != nil {
		return err
	}
	v, err := p.expression()
	if err != nil {
		return err
	}
	return p.bind(names, pattern, v)
}

// importation reads `import name from "module"` and `import {a} from "module"`.
func (p *parser) importation() error {
	if err := p.advance(); err != nil {
		return err
	}
	names, pattern, err := p.binding()
	if err != nil {
		return err
	}
	if p.tok.text != "from" {
		return p.unexpected()
	}
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.kind != tokenString {
		return p.unexpected()
	}
	m, ok := module(p.tok.text)
	if !ok {
		return p.fail("the module %q is not known", p.tok.text)
	}
	if err := p.advance(); err != nil {
		return err
	}
	return p.bind(names, pattern, m)
}

// binding reads a name, or the names between braces.
func (p *parser) binding() (names []string, pattern bool, err error) {
	if p.tok.kind == tokenName {
		names = []string{p.tok.text}
		return names, false, p.advance()
	}
	if p.is("*") { // import * as name
		if err := p.advance(); err != nil || p.tok.text != "as" {
			return nil, false, p.unexpected()
		}
		if err := p.advance(); err != nil || p.tok.kind != tokenName {
			return nil, false, p.unexpected()
		}
		names = []string{p.tok.text}
		return names, false, p.advance()
	}
	if !p.is("{") {
		return nil, false, p.unexpected()
	}
	for {
		if err := p.advance(); err != nil {
			return nil, false, err
		}
		if p.is("}") {
			return names, true, p.advance()
		}
		if p.tok.kind != tokenName {
			return nil, false, p.unexpected()
		}
		names = append(names, p.tok.text)
		if err := p.advance(); err != nil {
			return nil, false, err
		}
		if !p.is(",") {
			return names, true, p.expect("}")
		}
	}
}

func (p *parser) bind(names []string, pattern bool, v value) error {
	for _, name := range names {
		bound := v
		if pattern {
			var err error
			if bound, err = p.of(v, name); err != nil {
				return err
			}
		}
		p.scope[name] = bound
	}
	return nil
}

func (w *world) global(name string) (value, bool) {
	if w == nil {
		return nil, false
	}
	switch name {
	case "__filename":
		return w.file, true
	case "__dirname":
		return filepath.Dir(w.file), true
	case "process", "require":
		return builtin(name), true
	}
	return nil, false
}

func module(name string) (builtin, bool) {
	switch name = strings.TrimPrefix(name, "node:"); name {
	case "os", "path", "process":
		return builtin(name), true
	}
	return "", false
}

// member reads `.name` of a value.
func (p *parser) member(v value) (value, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind != tokenName {
		return nil, p.unexpected()
	}
	found, err := p.of(v, p.tok.text)
	if err != nil {
		return nil, err
	}
	return found, p.advance()
}

// index reads `[key]` of a value.
func (p *parser) index(v value) (value, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	key, err := p.expression()
	if err != nil {
		return nil, err
	}
	if list, ok := v.([]value); ok {
		n, isNumber := key.(float64)
		if !isNumber || n < 0 || int(n) >= len(list) {
			return undefined{}, p.expect("]")
		}
		return list[int(n)], p.expect("]")
	}
	if !isText(key) {
		return nil, p.fail("this key cannot be read here")
	}
	found, err := p.of(v, text(key))
	if err != nil {
		return nil, err
	}
	return found, p.expect("]")
}

// of is a member of a value.
func (p *parser) of(v value, name string) (value, error) {
	switch v := v.(type) {
	case *object:
		if found, ok := v.get(name); ok {
			return found, nil
		}
		return undefined{}, nil
	case []value:
		if name == "length" {
			return float64(len(v)), nil
		}
	case builtin:
		if v == "process.env" {
			return p.world.variable(name), nil
		}
		if v == "os.cpus()" && name == "length" {
			return float64(p.world.cores), nil
		}
		switch full := v + "." + builtin(name); full {
		case "process.env", "process.cwd", "os.cpus", "os.availableParallelism", "path.join", "path.resolve", "path.dirname", "path.basename":
			return full, nil
		}
		return nil, p.fail("%s.%s cannot be read here", v, name)
	}
	return nil, p.fail(".%s cannot be read here", name)
}

func (w *world) variable(name string) value {
	for i := len(w.environ) - 1; i >= 0; i-- {
		if n, v, ok := strings.Cut(w.environ[i], "="); ok && n == name {
			return v
		}
	}
	return undefined{}
}

// call reads the arguments of a call, and makes it.
func (p *parser) call(v value) (value, error) {
	f, ok := v.(builtin)
	if !ok {
		return nil, p.fail("a function cannot be called here")
	}
	var args []string
	for err := p.advance(); ; err = p.advance() { // past ( or ,
		if err != nil {
			return nil, err
		}
		if p.is(")") {
			break
		}
		arg, err := p.expression()
		if err != nil {
			return nil, err
		}
		s, isString := arg.(string)
		if !isString {
			return nil, p.fail("%s needs text", f)
		}
		args = append(args, s)
		if !p.is(",") {
			break
		}
	}
	result, err := p.apply(f, args)
	if err != nil {
		return nil, err
	}
	return result, p.expect(")")
}

func (p *parser) apply(f builtin, args []string) (value, error) {
	switch {
	case f == "require" && len(args) == 1:
		if m, ok := module(args[0]); ok {
			return m, nil
		}
		return nil, p.fail("the module %q is not known", args[0])
	case f == "process.cwd":
		return p.world.dir, nil
	case f == "os.cpus":
		return builtin("os.cpus()"), nil
	case f == "os.availableParallelism":
		return float64(p.world.cores), nil
	case f == "path.join":
		return filepath.Join(args...), nil
	case f == "path.resolve":
		full := p.world.dir
		for _, a := range args {
			full = resolve(full, a)
		}
		return full, nil
	case f == "path.dirname" && len(args) == 1:
		return filepath.Dir(args[0]), nil
	case f == "path.basename" && len(args) == 1:
		return filepath.Base(args[0]), nil
	case f == "path.basename" && len(args) == 2:
		return strings.TrimSuffix(filepath.Base(args[0]), args[1]), nil
	}
	return nil, p.fail("%s cannot be called so here", f)
}

// resolve is a path seen from a folder.
func resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
