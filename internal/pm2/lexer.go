package pm2

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// SyntaxError says where a file cannot be read.
type SyntaxError struct {
	File string
	Line int // from 1; 0: unknown
	Rule string
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Rule
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Rule)
}

type tokenKind byte

const (
	tokenEnd tokenKind = iota
	tokenPunct
	tokenName
	tokenNumber
	tokenString
	tokenTemplate // text is what stands between the backticks, as written
	tokenRegexp
)

type token struct {
	kind   tokenKind
	text   string // of a string: its value
	flags  string // of a regular expression
	number float64
	line   int
}

// lexer takes JavaScript's literals apart.
type lexer struct {
	file string
	src  string
	at   int
	line int
	last token // a slash after a value divides, elsewhere it begins a regular expression
}

func (l *lexer) fail(format string, args ...any) error {
	return &SyntaxError{File: l.file, Line: l.line, Rule: fmt.Sprintf(format, args...)}
}

// next returns the next token; at the end of the text it is a tokenEnd for ever.
func (l *lexer) next() (t token, err error) {
	if err := l.blank(); err != nil {
		return t, err
	}
	if l.at >= len(l.src) {
		return token{kind: tokenEnd, line: l.line}, nil
	}
	line := l.line
	switch c := l.src[l.at]; {
	case c == '"' || c == '\'':
		t, err = l.quoted(c)
	case c == '`':
		t, err = l.template()
	case isDigit(c) || c == '.' && l.at+1 < len(l.src) && isDigit(l.src[l.at+1]):
		t, err = l.number()
	case c == '/' && !l.afterValue():
		t, err = l.regexp()
	case isNameStart(l.src[l.at:]):
		t = l.name()
	default:
		t, err = l.punct()
	}
	t.line = line
	l.last = t
	return t, err
}

// blank skips white space and comments.
func (l *lexer) blank() error {
	for l.at < len(l.src) {
		rest := l.src[l.at:]
		switch {
		case rest[0] == '\n':
			l.line++
			l.at++
		case rest[0] <= ' ':
			l.at++
		case strings.HasPrefix(rest, "\ufeff"), strings.HasPrefix(rest, "\u2028"), strings.HasPrefix(rest, "\u2029"):
			l.at += 3
		case strings.HasPrefix(rest, "\u00a0"):
			l.at += 2
		case strings.HasPrefix(rest, "//"), strings.HasPrefix(rest, "#!") && l.at == 0:
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			l.at += end
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return l.fail("a comment has no end")
			}
			l.line += strings.Count(rest[:end+4], "\n")
			l.at += end + 4
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) afterValue() bool {
	switch l.last.kind {
	case tokenName, tokenNumber, tokenString, tokenTemplate, tokenRegexp:
		return true
	case tokenPunct:
		return l.last.text == ")" || l.last.text == "]" || l.last.text == "}"
	}
	return false
}

func (l *lexer) quoted(quote byte) (token, error) {
	var b strings.Builder
	for i := l.at + 1; i < len(l.src); {
		switch c := l.src[i]; c {
		case quote:
			l.at = i + 1
			return token{kind: tokenString, text: b.String()}, nil
		case '\n':
			return token{}, l.fail("text has no closing quote")
		case '\\':
			n, err := l.escape(&b, i)
			if err != nil {
				return token{}, err
			}
			i += n
		default:
			b.WriteByte(c)
			i++
		}
	}
	return token{}, l.fail("text has no closing quote")
}

var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f', 'v': '\v', '0': 0}

// escape writes what the escape at position i means, and returns its length.
func (l *lexer) escape(b *strings.Builder, i int) (int, error) {
	if i+1 >= len(l.src) {
		return 0, l.fail("text has no closing quote")
	}
	switch c := l.src[i+1]; c {
	case 'u', 'x':
		return l.codePoint(b, i)
	case '\n':
		l.line++
		return 2, nil
	case '\r':
		return 2, nil
	default:
		if e, ok := escapes[c]; ok {
			b.WriteByte(e)
			return 2, nil
		}
		r, n := utf8.DecodeRuneInString(l.src[i+1:])
		b.WriteRune(r)
		return 1 + n, nil
	}
}

// codePoint reads \xhh, \uhhhh, a surrogate pair of these, and \u{h}.
func (l *lexer) codePoint(b *strings.Builder, i int) (int, error) {
	rest := l.src[i+1:]
	if strings.HasPrefix(rest, "u{") {
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return 0, l.fail(`\u{ has no end`)
		}
		n, err := strconv.ParseUint(rest[2:end], 16, 21)
		if err != nil {
			return 0, l.fail(`\u{%s} is no character`, rest[2:end])
		}
		b.WriteRune(rune(n))
		return end + 2, nil
	}
	unit := func(s string, digits int) (rune, bool) {
		if len(s) < digits+1 {
			return 0, false
		}
		n, err := strconv.ParseUint(s[1:digits+1], 16, 16)
		return rune(n), err == nil
	}
	digits := 4
	if rest[0] == 'x' {
		digits = 2
	}
	r, ok := unit(rest, digits)
	if !ok {
		return 0, l.fail(`\%c needs %d hexadecimal digits`, rest[0], digits)
	}
	if utf16.IsSurrogate(r) && strings.HasPrefix(rest[5:], `\u`) {
		if low, ok := unit(rest[6:], 4); ok {
			if both := utf16.DecodeRune(r, low); both != unicode.ReplacementChar {
				b.WriteRune(both)
				return 12, nil
			}
		}
	}
	b.WriteRune(r)
	return digits + 2, nil
}

// template finds the end of a template, past the expressions in it.
func (l *lexer) template() (token, error) {
	depth := 0
	for i := l.at + 1; i < len(l.src); i++ {
		switch c := l.src[i]; {
		case c == '\\':
			i++
		case depth == 0 && c == '`':
			t := token{kind: tokenTemplate, text: l.src[l.at+1 : i]}
			l.line += strings.Count(t.text, "\n")
			l.at = i + 1
			return t, nil
		case depth == 0 && strings.HasPrefix(l.src[i:], "${"):
			depth = 1
			i++
		case depth > 0 && c == '{':
			depth++
		case depth > 0 && c == '}':
			depth--
		}
	}
	return token{}, l.fail("a template has no closing backtick")
}

func (l *lexer) number() (token, error) {
	end := l.at
	for end < len(l.src) {
		c := l.src[end]
		exponent := (c == '+' || c == '-') && end > l.at && (l.src[end-1] == 'e' || l.src[end-1] == 'E') && !isHex(l.src[l.at:])
		if !isDigit(c) && c != '.' && c != '_' && !isLetter(c) && !exponent {
			break
		}
		end++
	}
	raw := l.src[l.at:end]
	n, err := parseNumber(raw)
	if err != nil {
		return token{}, l.fail("%s is no number", raw)
	}
	l.at = end
	return token{kind: tokenNumber, text: raw, number: n}, nil
}

func isHex(s string) bool { return len(s) > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') }

// parseNumber reads decimal, hexadecimal, octal and binary numbers.
func parseNumber(raw string) (float64, error) {
	s := strings.ReplaceAll(raw, "_", "")
	if len(s) > 1 && s[0] == '0' && isLetter(s[1]) && s[1] != 'e' && s[1] != 'E' {
		n, err := strconv.ParseUint(s, 0, 64)
		return float64(n), err
	}
	if strings.ContainsAny(s, "pPxXiInN") { // Go would take these
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

// regexp reads /source/flags.
func (l *lexer) regexp() (token, error) {
	class := false
	for i := l.at + 1; i < len(l.src) && l.src[i] != '\n'; i++ {
		switch c := l.src[i]; {
		case c == '\\':
			i++
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '/' && !class:
			end := i + 1
			for end < len(l.src) && isLetter(l.src[end]) {
				end++
			}
			t := token{kind: tokenRegexp, text: l.src[l.at+1 : i], flags: l.src[i+1 : end]}
			l.at = end
			return t, nil
		}
	}
	return token{}, l.fail("a regular expression has no end")
}

func (l *lexer) name() token {
	end := l.at
	for end < len(l.src) && (isNameStart(l.src[end:]) || isDigit(l.src[end])) {
		_, n := utf8.DecodeRuneInString(l.src[end:])
		end += n
	}
	t := token{kind: tokenName, text: l.src[l.at:end]}
	l.at = end
	return t
}

func (l *lexer) punct() (token, error) {
	for _, p := range []string{"...", "===", "!==", "||", "&&", "??", "?.", "==", "!=", "=>", ">=", "<="} {
		if strings.HasPrefix(l.src[l.at:], p) {
			l.at += len(p)
			return token{kind: tokenPunct, text: p}, nil
		}
	}
	c := l.src[l.at]
	if !strings.ContainsRune("{}[](),:;.=+-*/%!?<>", rune(c)) {
		r, _ := utf8.DecodeRuneInString(l.src[l.at:])
		return token{}, l.fail("%q is not expected here", r)
	}
	l.at++
	return token{kind: tokenPunct, text: string(rune(c))}, nil
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isNameStart(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return r == '_' || r == '$' || unicode.IsLetter(r)
}
