package sidereal_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// wide are the pages that still have lines of more than 100 columns. Take a page out once it has
// none.
var wide []string

// TestPagesAreNarrow wants at most 100 columns in the source of a page, but for tables, code and
// the targets of links.
func TestPagesAreNarrow(t *testing.T) {
	target := regexp.MustCompile(`\]\([^)]*\)|<https?:[^>]*>`)
	for _, page := range pages(t) {
		var long []string
		for _, l := range lines(read(t, page)) {
			if l.kind == code || l.kind == row || strings.HasPrefix(l.text, "<!--") {
				continue
			}
			if n := utf8.RuneCountInString(target.ReplaceAllString(l.text, "]")); n > 100 {
				long = append(long, strconv.Itoa(l.number))
			}
		}
		switch allowed := slices.Contains(wide, page); {
		case len(long) > 0 && !allowed:
			t.Errorf("%s has more than 100 columns in the lines %s: wrap them", page, strings.Join(long, ", "))
		case len(long) == 0 && allowed:
			t.Errorf("%s has no long line any more: take it out of wide in pages_test.go", page)
		}
	}
}

// TestPagesCite follows what pages name in code spans and examples: files, folders, packages,
// tests, make targets, commands of sidereal and their flags, metrics.
func TestPagesCite(t *testing.T) {
	tree := newTree(t)
	for _, page := range pages(t) {
		for _, p := range passages(read(t, page)) {
			for _, problem := range tree.problems(p) {
				t.Errorf("%s:%d: %s", page, p.number, problem)
			}
		}
	}
}

// TestCitationsAreFollowed shows TestPagesCite what it must find, and what it must leave alone.
func TestCitationsAreFollowed(t *testing.T) {
	tree := newTree(t)
	for _, c := range []struct{ text, want string }{
		{"`router/doc.go` and `router/` and `internal/config`", ""},
		{"`router/nothing.go`", "there is no `router/nothing.go`"},
		{"`internal/wrong/doc.go`", "of that name there is"},
		{"`internal/nothing`", "there is no `internal/nothing`"},
		{"`adapter/emitter.New`, `@socket.io/redis-adapter`, `e2e/node_modules/x`", ""},
		{"`nothing.go`", "there is no file `nothing.go`"},
		{"`docs_test.go` has `TestMetricsDoc`", ""},
		{"`engineio.TestNothing`", "there is no test TestNothing"},
		{"`engineio.TestUpgrade`", ""},
		{"`router.TestUpgrade`", "write `engineio.TestUpgrade`"},
		{"`router/doc.go`, `TestUpgrade`", "write `engineio.TestUpgrade`"},
		{"`make test`", ""},
		{"`make nothing`", "has no target nothing"},
		{"`sidereal up -i 4 ./chat`", ""},
		{"`SIDEREAL_ADDR=:80 ./bin/sidereal bench URL --clients 10 -- --nothing`", ""},
		{"`sidereal nothing`", "has no command nothing"},
		{"`sidereal bench --nothing=1`", "has no flag --nothing"},
		{"`go test ./engineio -run Upgrade`", ""},
		{"`go test ./engineio -run '^$' -bench 'Absent|Poll'`", "matches Absent"},
		{"`go test ./router -run TestUpgradeKeepsNothing`", "matches TestUpgradeKeepsNothing"},
		{"`sidereal_redis_up`", ""},
		{"`sidereal_redis_nothing`", "there is no metric"},
	} {
		got := strings.Join(tree.problems(line{text: c.text}), "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
	}
	const page = "A `make\ntest` here\nand there\n\n- one\n- two\n  more\n\n    make nothing\n"
	var got []string
	for _, p := range passages(page) {
		if p.text != "" {
			got = append(got, p.text)
		}
	}
	want := []string{"A `make test` here and there", "- one", "- two more", "    make nothing"}
	if !slices.Equal(got, want) {
		t.Errorf("passages are %q, want %q", got, want)
	}
}

// TestPagesLink follows every relative link of the pages, to the heading where it names one. In Go
// code, v[T](x) isn't a link.
func TestPagesLink(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code := regexp.MustCompile("(?ms)^```.*?^```$")
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(read(t, page), ""), -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, "://") || strings.HasPrefix(file, "mailto:") {
				continue
			}
			target := page
			if file != "" {
				target = path.Join(path.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, and there is no %s", page, m[1], target)
				continue
			}
			if anchor != "" && path.Ext(target) == ".md" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s links to %s; the headings of %s are %q", page, m[1], target, anchors(read(t, target)))
			}
		}
	}
}

// TestCodeCitesPages looks for the pages and decisions that comments name: docs/redis.md,
// docs/adr/0003, ADR 0003.
func TestCodeCitesPages(t *testing.T) {
	cited := regexp.MustCompile(`\bdocs/[a-z][\w-]*(?:/[\w-]+)?(?:\.md)?|\bADR \d{4}`)
	walk(t, ".", func(file string) {
		if !slices.Contains([]string{".go", ".mjs", ".js", ".sh", ".yaml", ".conf"}, path.Ext(file)) ||
			strings.HasPrefix(file, "internal/demo/bundle/") || strings.HasPrefix(file, "internal/dashboard/charts/") { // of npm packages
			return
		}
		for i, text := range strings.Split(read(t, file), "\n") {
			for _, name := range cited.FindAllString(text, -1) {
				pattern := strings.Replace(name, "ADR ", "docs/adr/", 1)
				if found, _ := filepath.Glob(strings.TrimSuffix(pattern, ".md") + "*"); len(found) == 0 && file != "pages_test.go" {
					t.Errorf("%s:%d cites %s, which isn't there", file, i+1, name)
				}
			}
		}
	})
}

// TestPagesNameSettings: a setting that a page or an example names is one of docs/configuration.md,
// which is generated.
func TestPagesNameSettings(t *testing.T) {
	known := settings(t)
	files := pages(t)
	for _, pattern := range []string{"*.yaml", "*Dockerfile", "deploy/*", "examples/*/*", "scripts/*"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	name := regexp.MustCompile(`SIDEREAL_[A-Z0-9_]*[A-Z0-9]\b`)
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			continue
		}
		for _, n := range name.FindAllString(read(t, file), -1) {
			if !known[n] {
				t.Errorf("%s names %s, which isn't in docs/configuration.md", file, n)
			}
		}
	}
}

// settings are the variables of docs/configuration.md.
func settings(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	variable := regexp.MustCompile("^\\| `(SIDEREAL_[A-Z0-9_]+)`")
	for line := range strings.Lines(read(t, "docs/configuration.md")) {
		if m := variable.FindStringSubmatch(line); m != nil {
			known[m[1]] = true
			known[m[1]+"_FILE"] = strings.Contains(line, "*secret*")
		}
	}
	if len(known) < 50 {
		t.Fatalf("docs/configuration.md has %d rows", len(known))
	}
	return known
}

// pages are the documents for readers. The change log tells of what was, and is none of them.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	walk(t, ".", func(name string) {
		if path.Ext(name) == ".md" && name != "CHANGELOG.md" {
			all = append(all, name)
		}
	})
	return all
}

// kind says what a line of Markdown belongs to.
type kind int

const (
	prose kind = iota
	row        // of a table
	code
)

type line struct {
	number int
	text   string
	kind   kind
}

// lines are those of a page.
func lines(page string) (all []line) {
	fenced, indented, blank := false, false, true
	for i, text := range strings.Split(page, "\n") {
		l := line{number: i + 1, text: text}
		trimmed := strings.TrimSpace(text)
		indented = strings.HasPrefix(text, "    ") && (blank || indented)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			fenced = !fenced
			l.kind = code
		case fenced, indented:
			l.kind = code
		case strings.HasPrefix(trimmed, "|"):
			l.kind = row
		}
		blank = trimmed == ""
		all = append(all, l)
	}
	return all
}

var item = regexp.MustCompile(`^\s*([-*]|\d+\.) `)

// passages are the paragraphs, list items, rows of tables and lines of code of a page, each on one
// line: a citation may be wrapped.
func passages(page string) (all []line) {
	open := false
	for _, l := range lines(page) {
		if l.kind == prose && open && strings.TrimSpace(l.text) != "" && !item.MatchString(l.text) && l.text[0] != '#' {
			all[len(all)-1].text += " " + strings.TrimSpace(l.text)
			continue
		}
		open = l.kind == prose && strings.TrimSpace(l.text) != ""
		all = append(all, l)
	}
	return all
}

// anchors are the names by which links find a page's headings.
func anchors(page string) (all []string) {
	gone := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, l := range lines(page) {
		if title := strings.TrimLeft(l.text, "#"); l.kind == prose && title != l.text {
			all = append(all, strings.ReplaceAll(gone.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-"))
		}
	}
	return all
}

// tree is what pages may cite.
type tree struct {
	files    map[string]bool     // and folders
	named    map[string][]string // files by their last element
	tests    map[string]bool     // folder.Name
	targets  map[string]bool     // of the Makefile
	words    map[string]bool     // that the command's code has: names of commands and flags
	settings map[string]bool
	metrics  map[string]bool
}

func newTree(t *testing.T) *tree {
	t.Helper()
	r := &tree{
		files: map[string]bool{}, named: map[string][]string{}, targets: map[string]bool{}, words: map[string]bool{},
		metrics: map[string]bool{}, tests: allTests(t), settings: settings(t),
	}
	note := func(name string) {
		r.named[path.Base(name)] = append(r.named[path.Base(name)], name)
		for ; name != "."; name = path.Dir(name) {
			r.files[name] = true
		}
	}
	err := filepath.WalkDir(".", func(name string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir():
			note(filepath.ToSlash(name))
		case slices.Contains([]string{".git", "node_modules", "bin", "dist"}, entry.Name()):
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		r.targets[m[1]] = true
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(sidereal_[a-z_]+)`").FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		r.metrics[m[1]] = true
	}
	for name, s := range sources(t) {
		if !strings.HasPrefix(name, "cmd/") && !strings.HasPrefix(name, "internal/") {
			continue
		}
		ast.Inspect(s.root, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value)
				r.words[text] = true
			}
			if field, ok := n.(*ast.KeyValueExpr); ok && fmt.Sprint(field.Key) == "Use" {
				if lit, ok := field.Value.(*ast.BasicLit); ok {
					text, _ := strconv.Unquote(lit.Value)
					name, _, _ := strings.Cut(text, " ")
					r.words[name] = true
				}
			}
			return true
		})
	}
	for name := range r.settings {
		r.words[strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "SIDEREAL_")), "_", "-")] = true
	}
	return r
}

var (
	span       = regexp.MustCompile("`([^`]+)`")
	slashed    = regexp.MustCompile(`^[\w@.-]+(?:/[\w@.+-]+)+/?$`)
	bareFile   = regexp.MustCompile(`^\w+\.(?:go|mjs|sh|txtar)$`)
	citedTest  = regexp.MustCompile(`^(?:([\w/]+)\.)?((?:Test|Fuzz|Benchmark)[A-Z]\w*)$`)
	exported   = regexp.MustCompile(`\.[A-Z]\w*(?:\.[A-Z]\w*)?$`)
	command    = regexp.MustCompile(`^(?:\$ )?(?:[A-Z_0-9]+=\S+ )*(?:\S*/)?sidereal (.*)$`)
	making     = regexp.MustCompile(`^(?:\$ )?(?:[A-Z_0-9]+=\S+ )*make ([a-z][a-z-]*)\b`)
	goTest     = regexp.MustCompile(`^(?:\$ )?(?:[A-Z_0-9]+=\S+ )*go test (.*)$`)
	testFolder = regexp.MustCompile(`(?:^| )\./(\S+)`)
	testNames  = regexp.MustCompile(`-(?:run|bench|fuzz)[ =]('[^']*'|\S+)`)
	metricID   = regexp.MustCompile(`^sidereal_[a-z]+_[a-z_]+$`)
)

// problems are the citations of a passage that lead nowhere, each with a way to mend it.
func (r *tree) problems(p line) (all []string) {
	if p.kind == code {
		return r.commands(strings.TrimSpace(p.text))
	}
	var folders, tests []string // folders of the files that the passage cites; tests, which may be of these
	for _, m := range span.FindAllStringSubmatch(p.text, -1) {
		s := m[1]
		switch {
		case citedTest.MatchString(s):
			tests = append(tests, s)
		case slashed.MatchString(s):
			name := strings.TrimSuffix(s, "/")
			top, _, _ := strings.Cut(name, "/")
			switch {
			case r.files[name]:
				if path.Ext(name) != "" {
					name = path.Dir(name)
				}
				folders = append(folders, name)
			case !r.files[top] || strings.Contains(name, "node_modules"), r.files[exported.ReplaceAllString(name, "")]:
			default:
				all = append(all, fmt.Sprintf("there is no `%s`%s", s, r.instead(name)))
			}
		case bareFile.MatchString(s):
			if len(r.named[s]) == 0 {
				all = append(all, fmt.Sprintf("there is no file `%s`", s))
			}
		case metricID.MatchString(s):
			if !r.metrics[s] && !r.metrics[strings.TrimRight(s, "_")] {
				all = append(all, fmt.Sprintf("there is no metric `%s` in docs/metrics.md", s))
			}
		default:
			all = append(all, r.commands(s)...)
		}
	}
	for _, s := range tests {
		m := citedTest.FindStringSubmatch(s)
		in := folders
		if m[1] != "" {
			in = []string{m[1]}
		}
		if len(in) == 0 && len(r.packagesOf(m[2])) > 0 || slices.ContainsFunc(in, func(dir string) bool { return r.tests[dir+"."+m[2]] }) {
			continue
		}
		if have := r.packagesOf(m[2]); len(have) > 0 {
			all = append(all, fmt.Sprintf("%s isn't in %q: write `%s.%s`", m[2], in, have[0], m[2]))
		} else {
			all = append(all, fmt.Sprintf("there is no test %s in any package", m[2]))
		}
	}
	return all
}

// commands are the problems of a text that may be a command line.
func (r *tree) commands(s string) (all []string) {
	if m := making.FindStringSubmatch(s); m != nil && !r.targets[m[1]] {
		all = append(all, fmt.Sprintf("the Makefile has no target %s; it has %q", m[1], slices.Sorted(maps.Keys(r.targets))))
	}
	if testing := goTest.FindStringSubmatch(s); testing != nil {
		return append(all, r.unmatched(testing[1])...)
	}
	m := command.FindStringSubmatch(s)
	if m == nil {
		return all
	}
	words := strings.Fields(m[1])
	for i, w := range words {
		name, _, _ := strings.Cut(strings.TrimPrefix(w, "--"), "=")
		switch {
		case w == "--" || w == "|" || w == "#" || w == "&&":
			return all
		case i == 0 && regexp.MustCompile(`^[a-zA-Z]+$`).MatchString(w) && !r.words[w]:
			all = append(all, fmt.Sprintf("`sidereal` has no command %s: see `sidereal help`", w))
		case strings.HasPrefix(w, "--") && !r.words[name]:
			all = append(all, fmt.Sprintf("`sidereal %s` has no flag --%s", words[0], name))
		}
	}
	return all
}

// unmatched are the names of tests and benchmarks in the arguments of go test that no test of its
// packages has.
func (r *tree) unmatched(arguments string) (all []string) {
	var folders []string
	for _, m := range testFolder.FindAllStringSubmatch(arguments, -1) {
		folders = append(folders, m[1])
	}
	for _, m := range testNames.FindAllStringSubmatch(arguments, -1) {
		for _, name := range strings.Split(strings.ReplaceAll(strings.Trim(m[1], "'"), `\|`, "|"), "|") {
			pattern, err := regexp.Compile(`\.\w*` + name)
			if err != nil || !strings.ContainsFunc(name, unicode.IsLetter) || len(folders) == 0 {
				continue
			}
			if !slices.ContainsFunc(slices.Collect(maps.Keys(r.tests)), func(test string) bool {
				return pattern.MatchString(test) && slices.ContainsFunc(folders, func(folder string) bool {
					return strings.HasPrefix(test, folder+".") || folder == "..." || strings.HasPrefix(test, strings.TrimSuffix(folder, "..."))
				})
			}) {
				all = append(all, fmt.Sprintf("no test or benchmark in %q matches %s", folders, name))
			}
		}
	}
	return all
}

// instead suggests files for one that isn't there.
func (r *tree) instead(name string) string {
	have := r.named[path.Base(name)]
	if len(have) == 0 {
		return ", nor another of that name: cite what replaced it"
	}
	return fmt.Sprintf("; of that name there is %q", have)
}

func (r *tree) packagesOf(test string) (all []string) {
	for name := range r.tests {
		if strings.HasSuffix(name, "."+test) {
			all = append(all, strings.TrimSuffix(name, "."+test))
		}
	}
	slices.Sort(all)
	return all
}
