package pm2

import "strings"

// template evaluates the expressions in a template.
func (p *parser) template(t token) (string, error) {
	inner := &lexer{file: p.lex.file, src: t.text, line: t.line}
	var b strings.Builder
	for i := 0; i < len(t.text); {
		rest := t.text[i:]
		switch {
		case rest[0] == '\\':
			n, err := inner.escape(&b, i)
			if err != nil {
				return "", err
			}
			i += n
		case strings.HasPrefix(rest, "${"):
			v, n, err := p.embedded(rest[2:], t.line+strings.Count(t.text[:i], "\n"))
			if err != nil {
				return "", err
			}
			if _, none := v.(undefined); none {
				v = "undefined"
			}
			b.WriteString(text(v))
			i += 2 + n
		default:
			b.WriteByte(rest[0])
			i++
		}
	}
	return b.String(), nil
}

// embedded evaluates an expression up to its closing brace, and returns how long it is with the brace.
func (p *parser) embedded(src string, line int) (value, int, error) {
	in := &parser{lex: lexer{file: p.lex.file, src: src, line: line}, depth: p.depth + 1, scope: p.scope, world: p.world}
	if in.depth > maxDepth {
		return nil, 0, p.fail("more than %d levels are nested", maxDepth)
	}
	if err := in.advance(); err != nil {
		return nil, 0, err
	}
	v, err := in.expression()
	if err != nil {
		return nil, 0, err
	}
	if !in.is("}") {
		return nil, 0, in.unexpected()
	}
	return v, in.lex.at, nil
}
