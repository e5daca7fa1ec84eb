package pm2

import (
	"fmt"
	"math"
	"strings"
)

// maxDepth bounds what a file may nest; deeper ones are mistakes or attacks.
const maxDepth = 200

// readJSON reads what PM2 takes as JSON: one literal of JavaScript, so with comments, trailing commas, unquoted keys,
// single quotes and small sums.
func readJSON(file, src string) (value, error) {
	p := newParser(file, src, nil)
	if err := p.advance(); err != nil {
		return nil, err
	}
	v, err := p.expression()
	if err != nil {
		return nil, err
	}
	if p.is(";") {
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	if p.tok.kind != tokenEnd {
		return nil, p.unexpected()
	}
	return p.result(v)
}

// parser evaluates expressions as it reads them.
type parser struct {
	lex   lexer
	tok   token // the one to look at
	depth int
	scope map[string]value
	world *world // nil: there is nothing but literals
}

func newParser(file, src string, w *world) *parser {
	return &parser{lex: lexer{file: file, src: strings.ToValidUTF8(src, "\ufffd"), line: 1}, scope: map[string]value{}, world: w}
}

// undefined is JavaScript's.
type undefined struct{}

// result is a value that a file may end up with.
func (p *parser) result(v value) (value, error) {
	switch v.(type) {
	case undefined, builtin:
		return nil, p.fail("there is no value")
	}
	return v, nil
}

func (p *parser) advance() (err error) {
	p.tok, err = p.lex.next()
	return err
}

func (p *parser) is(punct string) bool { return p.tok.kind == tokenPunct && p.tok.text == punct }

// fail names the line of the token at hand.
func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{File: p.lex.file, Line: p.tok.line, Rule: fmt.Sprintf(format, args...)}
}

func (p *parser) unexpected() error {
	if p.tok.kind == tokenEnd {
		return p.fail("the file ends too early")
	}
	return p.fail("%q is not expected here", p.tok.text)
}

func (p *parser) expect(punct string) error {
	if !p.is(punct) {
		return p.unexpected()
	}
	return p.advance()
}

// expression reads a whole expression: a condition with its two ends, or an operation.
func (p *parser) expression() (value, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail("more than %d levels are nested", maxDepth)
	}
	defer func() { p.depth-- }()
	v, err := p.operation(0)
	if err != nil || !p.is("?") {
		return v, err
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	yes, err := p.expression()
	if err != nil {
		return nil, err
	}
	if err := p.expect(":"); err != nil {
		return nil, err
	}
	no, err := p.expression()
	if truthy(v) {
		return yes, err
	}
	return no, err
}

// postfix reads a value and what is asked of it: members and calls.
func (p *parser) postfix() (value, error) {
	v, err := p.primary()
	for err == nil && p.world != nil {
		switch {
		case p.is("."), p.is("?."):
			v, err = p.member(v)
		case p.is("["):
			v, err = p.index(v)
		case p.is("("):
			v, err = p.call(v)
		default:
			return v, nil
		}
	}
	return v, err
}

func (p *parser) primary() (value, error) {
	t := p.tok
	switch {
	case p.is("{"):
		return p.object()
	case p.is("["):
		return p.list()
	case p.is("("):
		if err := p.advance(); err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		return v, p.expect(")")
	}
	var v value
	switch t.kind {
	case tokenString:
		v = t.text
	case tokenNumber:
		v = t.number
	case tokenRegexp:
		v = &expression{t.text, t.flags}
	case tokenTemplate:
		s, err := p.template(t)
		if err != nil {
			return nil, err
		}
		v = s
	case tokenName:
		known, err := p.name(t.text)
		if err != nil {
			return nil, err
		}
		v = known
	default:
		return nil, p.unexpected()
	}
	return v, p.advance()
}

func (p *parser) name(name string) (value, error) {
	switch name {
	case "true", "false":
		return name == "true", nil
	case "null":
		return nil, nil
	case "undefined":
		return undefined{}, nil
	case "Infinity":
		return math.Inf(1), nil
	case "NaN":
		return math.NaN(), nil
	}
	if v, ok := p.scope[name]; ok {
		return v, nil
	}
	if v, ok := p.world.global(name); ok {
		return v, nil
	}
	return nil, p.fail("%s is not known", name)
}

func (p *parser) list() (value, error) {
	list := []value{}
	for err := p.advance(); ; err = p.advance() { // past [ or ,
		if err != nil {
			return nil, err
		}
		if p.is("]") {
			return list, p.advance()
		}
		spread := p.is("...")
		if spread {
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		if more, ok := v.([]value); spread && ok {
			list = append(list, more...)
		} else if spread {
			return nil, p.fail("... needs a list")
		} else if list, err = append(list, orNull(v)), p.storable(v); err != nil {
			return nil, err
		}
		if !p.is(",") {
			return list, p.expect("]")
		}
	}
}

func orNull(v value) value {
	if _, none := v.(undefined); none {
		return nil
	}
	return v
}

func (p *parser) storable(v value) error {
	if b, ok := v.(builtin); ok {
		return p.fail("%s is not a value for a process file", b)
	}
	return nil
}

func (p *parser) object() (value, error) {
	o := newObject()
	for err := p.advance(); ; err = p.advance() { // past { or ,
		if err != nil {
			return nil, err
		}
		if p.is("}") {
			return o, p.advance()
		}
		if err := p.property(o); err != nil {
			return nil, err
		}
		if !p.is(",") {
			return o, p.expect("}")
		}
	}
}

// property reads `key: value`, a lone name, or another object's properties.
func (p *parser) property(o *object) error {
	if p.is("...") {
		return p.spread(o)
	}
	key, err := p.key()
	if err != nil {
		return err
	}
	name := p.tok
	if err := p.advance(); err != nil {
		return err
	}
	var v value
	if name.kind == tokenName && (p.is(",") || p.is("}")) {
		if v, err = p.name(key); err != nil {
			return err
		}
	} else {
		if err := p.expect(":"); err != nil {
			return err
		}
		if v, err = p.expression(); err != nil {
			return err
		}
	}
	if _, none := v.(undefined); none {
		return nil // as JSON.stringify leaves it out
	}
	o.set(key, v)
	return p.storable(v)
}

func (p *parser) key() (string, error) {
	switch t := p.tok; {
	case t.kind == tokenName, t.kind == tokenString:
		return t.text, nil
	case t.kind == tokenNumber:
		return numberText(t.number), nil
	case p.is("["):
		if err := p.advance(); err != nil {
			return "", err
		}
		v, err := p.expression()
		if err != nil {
			return "", err
		}
		if !p.is("]") || !isText(v) {
			return "", p.unexpected()
		}
		return text(v), nil
	}
	return "", p.unexpected()
}

func (p *parser) spread(o *object) error {
	if err := p.advance(); err != nil {
		return err
	}
	v, err := p.expression()
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *object:
		for _, key := range v.keys {
			o.set(key, v.values[key])
		}
	case builtin:
		if v != "process.env" {
			return p.fail("... needs an object")
		}
		for _, kv := range p.world.environ {
			name, val, _ := strings.Cut(kv, "=")
			o.set(name, val)
		}
	case nil, undefined, bool:
	default:
		return p.fail("... needs an object")
	}
	return nil
}
