package sidereal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/httpapi"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/node"
	"github.com/sidereal-io/sidereal/internal/rebalance"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/supervisor"
	"github.com/sidereal-io/sidereal/router"
	"github.com/sidereal-io/sidereal/socketio"
)

// TestMetricsDoc holds docs/metrics.md to the metrics that the product registers: their names,
// types, labels, and the values that labels have from the start.
func TestMetricsDoc(t *testing.T) {
	const doc = "docs/metrics.md"
	metrics := registered(t)
	for name := range literals(t, regexp.MustCompile(`^sidereal_[a-z_]+$`)) {
		if metrics[name] == nil {
			t.Errorf("%s is in the code and in no registry that registered makes: make its owner there", name)
		}
	}
	rows := map[string]string{}
	name := regexp.MustCompile("^\\| `(sidereal_[a-z_]+)` \\|")
	for line := range strings.Lines(read(t, doc)) {
		if m := name.FindStringSubmatch(line); m != nil {
			if rows[m[1]] != "" {
				t.Errorf("%s has two rows for %s", doc, m[1])
			}
			rows[m[1]] = line
		}
	}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		row := rows[name]
		if row == "" {
			t.Errorf("%s has no row for %s", doc, name)
			continue
		}
		cells := strings.Split(row, "|")
		if got := strings.TrimSpace(cells[2]); got != metrics[name].kind {
			t.Errorf("%s calls %s a %s; it is a %s", doc, name, got, metrics[name].kind)
		}
		for _, word := range metrics[name].words {
			if !strings.Contains(cells[3], "`"+word+"`") {
				t.Errorf("%s does not name the label or value `%s` of %s", doc, word, name)
			}
		}
	}
	for _, cited := range regexp.MustCompile(`sidereal_[a-z_]+[a-z]`).FindAllString(read(t, doc), -1) {
		if metrics[cited] == nil {
			t.Errorf("%s speaks of %s, which nothing registers", doc, cited)
		}
	}
}

// metric is what the outside sees of one.
type metric struct {
	kind  string   // as Prometheus calls it
	words []string // its labels, and the values that exist from the start
}

// registered makes everything that has metrics, and returns those.
func registered(t *testing.T) map[string]*metric {
	t.Helper()
	reg := &recorder{Registry: prometheus.NewPedanticRegistry(), metrics: map[string]*metric{}}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	conn, err := redisconn.Open(redisconn.Config{URL: "redis://127.0.0.1:1", Metrics: reg}) // nothing is dialled
	must(conn, err)
	defer conn.Close()
	dir, err := directory.Open(t.Context(), directory.Config{Conn: conn, Metrics: reg})
	must(dir, err)
	must(directory.NewUpstreams(directory.UpstreamConfig{List: "http://10.0.0.4", Shared: dir, Metrics: reg}))
	must(router.New(router.Config{Directory: dir, Metrics: reg}))
	passed, err := handoff.Listen(filepath.Join(t.TempDir(), "w.sock"), "wrk0")
	must(passed, err)
	defer passed.Close()
	must(nil, passed.Register(reg))
	must(adapter.New(adapter.Config{Conn: conn, Form: adapter.Streams{}, Metrics: reg})) // the form with the most metrics
	var cfg socketio.Config
	cfg.Metrics = reg
	must(socketio.New(cfg)) // with its engineio.Server
	must(supervisor.New(supervisor.Config{Metrics: reg}))
	must(daemon.NewMetrics(reg, func() daemon.Listing { return daemon.Listing{} }))
	must(node.New(node.Config{
		Conn: conn, RuntimeDir: "none", Report: func(string, any) error { return nil }, Metrics: reg,
	}))
	must(httpapi.New(httpapi.Config{Metrics: reg}))
	must(rebalance.NewAuto(rebalance.AutoConfig{Metrics: reg}))
	families, err := reg.Gather()
	must(families, err)
	for _, f := range families {
		m := reg.metrics[f.GetName()]
		m.kind = strings.ToLower(dto.MetricType_name[int32(f.GetType())])
		for _, sample := range f.Metric {
			for _, l := range sample.Label {
				if l.GetValue() != "" {
					m.words = append(m.words, l.GetValue())
				}
			}
		}
	}
	return reg.metrics
}

// recorder notes the description of each metric that is registered: a vector without children does
// not gather.
type recorder struct {
	*prometheus.Registry
	metrics map[string]*metric
}

var description = regexp.MustCompile(`^Desc\{fqName: "([^"]*)".*variableLabels: \{(.*)\}\}$`)

func (r *recorder) Register(c prometheus.Collector) error {
	kind := "gauge"
	switch c.(type) {
	case *prometheus.CounterVec:
		kind = "counter"
	case *prometheus.HistogramVec, prometheus.Histogram:
		kind = "histogram"
	}
	all := make(chan *prometheus.Desc, 32)
	c.Describe(all)
	close(all)
	for d := range all {
		found := description.FindStringSubmatch(d.String())
		m := &metric{kind: kind}
		if strings.HasSuffix(found[1], "_total") {
			m.kind = "counter"
		}
		if labels := found[2]; labels != "" {
			m.words = strings.Split(labels, ",")
		}
		r.metrics[found[1]] = m
	}
	return r.Registry.Register(c)
}

func (r *recorder) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// TestConcurrencyDoc holds the first section of docs/concurrency.md to the code: a file that starts
// a goroutine is in it, and one that starts none is not.
func TestConcurrencyDoc(t *testing.T) {
	const doc, heading = "docs/concurrency.md", "## Every kind of goroutine"
	_, lists, ok := strings.Cut(read(t, doc), heading)
	if !ok {
		t.Fatalf("%s has no heading %q", doc, heading)
	}
	lists, _, _ = strings.Cut(lists, "\n## ")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("`([\\w/]+\\.go)`").FindAllStringSubmatch(lists, -1) {
		listed[m[1]] = true
	}
	started := map[string]string{}
	for file, tree := range sources(t) {
		ast.Inspect(tree.root, func(n ast.Node) bool {
			if how := starts(n); how != "" && started[file] == "" {
				started[file] = tree.position(n) + ": " + how
			}
			return true
		})
	}
	for _, file := range slices.Sorted(maps.Keys(started)) {
		if !listed[file] {
			t.Errorf("%s: whose is that goroutine, when does it end, how many are there? Say so in an entry of %s, with the file `%s`",
				started[file], doc, file)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(listed)) {
		if started[file] == "" {
			t.Errorf("%s: %s starts no goroutine, or is not there any more", doc, file)
		}
	}
}

// TestLockOrderDoc wants every lock in the table of docs/concurrency.md to be a field of a type, so
// that renames reach it.
func TestLockOrderDoc(t *testing.T) {
	const doc, heading = "docs/concurrency.md", "## Lock order"
	_, table, ok := strings.Cut(read(t, doc), heading)
	if !ok {
		t.Fatalf("%s has no heading %q", doc, heading)
	}
	fields := map[string]bool{} // Type.field
	for _, s := range sources(t) {
		ast.Inspect(s.root, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if structure, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range structure.Fields.List {
					for _, name := range field.Names {
						fields[spec.Name.Name+"."+name.Name] = true
					}
				}
			}
			return true
		})
	}
	for _, m := range regexp.MustCompile("`(?:\\w+\\.)?(\\w+\\.\\w+)`").FindAllStringSubmatch(table, -1) {
		if !fields[m[1]] {
			t.Errorf("%s has the lock %s, which no type has: write there what it is called now", doc, m[1])
		}
	}
}

// starts tells how a piece of code starts a goroutine; empty: it does not.
func starts(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a go statement"
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "Go" || f.Sel.Name == "TryGo" || f.Sel.Name == "AfterFunc") {
			return "a call of " + f.Sel.Name
		}
	}
	return ""
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// walk calls f with every file below dir, but for those that are not ours or not kept in the
// repository.
func walk(t *testing.T, dir string, f func(name string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir():
			f(filepath.ToSlash(name))
		case name != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"node_modules", "bundle", "testdata", "bin", "dist"}, entry.Name())):
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// source is a parsed file.
type source struct {
	set  *token.FileSet
	root *ast.File
}

func (s source) position(n ast.Node) string { return s.set.Position(n.Pos()).String() }

// sources are the files of the product, by name: without tests, and without e2e, which is nothing
// else.
func sources(t *testing.T) map[string]source {
	t.Helper()
	return parse(t, func(name string) bool {
		return !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "e2e/")
	})
}

func parse(t *testing.T, wanted func(name string) bool) map[string]source {
	t.Helper()
	files := map[string]source{}
	walk(t, ".", func(name string) {
		if path.Ext(name) != ".go" || !wanted(name) {
			return
		}
		set := token.NewFileSet()
		root, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = source{set, root}
	})
	return files
}

// literals are the strings in the sources that match.
func literals(t *testing.T, match *regexp.Regexp) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, s := range sources(t) {
		ast.Inspect(s.root, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil && match.MatchString(text) {
					found[text] = true
				}
			}
			return true
		})
	}
	return found
}

// allTests are the tests and fuzz targets as folder.Name, whatever their build tags.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for name, s := range parse(t, func(name string) bool { return strings.HasSuffix(name, "_test.go") }) {
		for _, d := range s.root.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				found[path.Dir(name)+"."+f.Name.Name] = true
			}
		}
	}
	return found
}

// TestDependenciesHaveReasons holds docs/adr/0025-libraries.md to the direct dependencies of
// go.mod.
func TestDependenciesHaveReasons(t *testing.T) {
	const doc = "docs/adr/0025-libraries.md"
	required := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`) // indirect ones have a comment behind
	reasons := regexp.MustCompile("(?m)^\\| `([^`/]+\\.[^`/]+/[^`]+)` \\| [^|]")
	var needed, explained []string
	for _, m := range required.FindAllStringSubmatch(read(t, "go.mod"), -1) {
		needed = append(needed, m[1])
	}
	_, direct, _ := strings.Cut(read(t, doc), "**Direct dependencies**")
	for _, m := range reasons.FindAllStringSubmatch(direct, -1) {
		explained = append(explained, m[1])
	}
	slices.Sort(needed)
	slices.Sort(explained)
	if len(needed) < 10 || !slices.Equal(needed, explained) {
		t.Errorf("go.mod needs\n%s\n%s explains\n%s", strings.Join(needed, "\n"), doc, strings.Join(explained, "\n"))
	}
}
