package pm2

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Pattern excludes files from a watch: a path, a glob or a regular expression. Relative paths and
// globs start from the app's Cwd. All that is below a matching path matches, too. The zero value
// matches nothing.
type Pattern struct {
	text   string // the path or glob, or the expression's source
	regexp bool
	re     *regexp.Regexp
}

// Glob returns the pattern of a path, or of a glob with *, **, ?, [...] and {a,b}.
func Glob(text string) (Pattern, error) {
	re, err := regexp.Compile(globExpression(text))
	if err != nil {
		return Pattern{}, fmt.Errorf("%q isn't a glob", text)
	}
	return Pattern{text: text, re: re}, nil
}

// Expression returns the pattern of a regular expression with JavaScript's flags. It may match
// anywhere in a path.
func Expression(source, flags string) (Pattern, error) {
	expr := source
	if strings.Contains(flags, "i") {
		expr = "(?i)" + expr
	}
	expr = strings.ReplaceAll(expr, `\/`, "/")
	re, err := regexp.Compile(expr)
	if err != nil {
		return Pattern{}, fmt.Errorf("/%s/ isn't a usable regular expression: %w", source, err)
	}
	return Pattern{text: expr, regexp: true, re: re}, nil
}

// Match reports whether the pattern matches a path below dir. Both are absolute.
func (p Pattern) Match(dir, path string) bool {
	if p.re == nil {
		return false
	}
	if p.regexp {
		return p.re.MatchString(path)
	}
	if filepath.IsAbs(p.text) {
		return p.re.MatchString(path)
	}
	rel, err := filepath.Rel(dir, path)
	return err == nil && p.re.MatchString(filepath.ToSlash(rel))
}

// String returns the pattern as a file has it.
func (p Pattern) String() string {
	if p.regexp {
		return "/" + p.text + "/"
	}
	return p.text
}

// taggedRegexp is the form of a regular expression in JSON. evaluate.cjs writes it, too.
type taggedRegexp struct {
	Source *string `json:"$regexp"`
	Flags  string  `json:"flags,omitempty"`
}

// MarshalJSON writes a path or glob as text, and an expression as an object.
func (p Pattern) MarshalJSON() ([]byte, error) {
	if p.regexp {
		return json.Marshal(taggedRegexp{Source: &p.text})
	}
	return json.Marshal(p.text)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Pattern) UnmarshalJSON(b []byte) (err error) {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*p, err = Glob(text)
		return err
	}
	var tagged taggedRegexp
	if err := json.Unmarshal(b, &tagged); err != nil {
		return err
	}
	if tagged.Source == nil {
		return fmt.Errorf("pm2: a pattern must be text or a regular expression")
	}
	*p, err = Expression(*tagged.Source, tagged.Flags)
	return err
}

// defaultIgnored excludes what PM2 doesn't watch: names that begin with a dot, and node_modules.
func defaultIgnored() []Pattern {
	p, err := Expression(`/\.|node_modules`, "")
	if err != nil {
		panic(err)
	}
	return []Pattern{p}
}

// Ignored returns IgnoreWatch as the app's file has it; none if that says nothing.
func (a *App) Ignored() []string {
	var texts []string
	for _, p := range a.IgnoreWatch {
		texts = append(texts, p.String())
	}
	if len(texts) == 1 && texts[0] == defaultIgnored()[0].String() {
		return nil
	}
	return texts
}

// globExpression returns the regular expression of a glob, which also matches all below.
func globExpression(glob string) string {
	glob = strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(glob), "./"), "/")
	var b strings.Builder
	b.WriteString("^")
	braces := 0
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case strings.HasPrefix(glob[i:], "**/"):
			b.WriteString("(?:.*/)?")
			i += 2
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(".*")
			i++
		case c == '*':
			b.WriteString("[^/]*")
		case c == '?':
			b.WriteString("[^/]")
		case c == '[':
			i += class(&b, glob[i:])
		case c == '{':
			braces++
			b.WriteString("(?:")
		case c == '}' && braces > 0:
			braces--
			b.WriteString(")")
		case c == ',' && braces > 0:
			b.WriteString("|")
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		}
	}
	b.WriteString("(?:/.*)?$")
	return b.String()
}

// class writes the character class that glob begins with, and returns how many bytes it took beyond
// the first.
func class(b *strings.Builder, glob string) int {
	end := strings.IndexByte(glob, ']')
	if end < 2 {
		b.WriteString(`\[`)
		return 0
	}
	set := glob[1:end]
	if negated, ok := strings.CutPrefix(set, "!"); ok {
		set = "^" + negated
	}
	b.WriteString("[" + strings.ReplaceAll(set, `\`, `\\`) + "]")
	return end
}
