package sidereal_test

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// removed are names that ADRs may cite although they are gone.
var removed = []string{"Session.Later", "socketio.Adapter"}

// TestPagesCiteGo looks for the names of Go that pages cite in code spans: `worker.Config`,
// `socketio.Config.Parser`, `Server.OnShutdown`.
func TestPagesCiteGo(t *testing.T) {
	names := newNames(t)
	used := map[string]bool{}
	for _, page := range pages(t) {
		for _, p := range passages(read(t, page)) {
			if p.kind == code {
				continue
			}
			for _, m := range span.FindAllStringSubmatch(p.text, -1) {
				name := goName(m[1])
				if name == "" || names.isForeign(name) || names.has(name) {
					continue
				}
				if slices.Contains(removed, name) {
					used[name] = true
					continue
				}
				t.Errorf("%s:%d: no type or package has `%s`", page, p.number, name)
			}
		}
	}
	for _, name := range removed {
		if !used[name] {
			t.Errorf("no page cites %s any more: take it out of symbols_test.go", name)
		}
	}
}

// TestGoNamesAreFollowed shows TestPagesCiteGo what it must find, and what it must leave alone.
func TestGoNamesAreFollowed(t *testing.T) {
	names := newNames(t)
	for text, found := range map[string]bool{
		"worker.Config":           true,
		"worker.FromEnv(code)":    true,
		"socketio.Config.Parser":  true,
		"socketio.Namespace.Emit": true, // of the Operator that it embeds
		"Server.OnShutdown":       true,
		"cluster.Adapter.Close":   true,
		"worker.Nothing":          false,
		"socketio.Config.Nothing": false,
		"Server.Nothing":          false,
		"Nothing.At":              false,
	} {
		if name := goName(text); name == "" || names.isForeign(name) || names.has(name) != found {
			t.Errorf("%s is the name %q, and found: %v", text, name, !found)
		}
	}
	for _, text := range []string{"server.js", "router/doc.go", "socket.data", "http.Handler", "io.To(room)", "a.b.example"} {
		if name := goName(text); name != "" && !names.isForeign(name) {
			t.Errorf("%s is no name of Go", text)
		}
	}
}

// names are what the packages declare. A package has its folder's name.
type names struct {
	packages map[string]map[string]bool // package → name
	members  map[string]map[string]bool // type, and package.type → fields, methods, types that it embeds
}

func newNames(t *testing.T) names {
	t.Helper()
	n := names{map[string]map[string]bool{}, map[string]map[string]bool{}}
	add := func(m map[string]map[string]bool, of, name string) {
		if m[of] == nil {
			m[of] = map[string]bool{}
		}
		m[of][name] = true
	}
	for file, s := range parse(t, func(string) bool { return true }) {
		pkg := strings.TrimSuffix(s.root.Name.Name, "_test")
		for _, folder := range []string{pkg, path.Base(path.Dir(file))} {
			for _, d := range s.root.Decls {
				for _, name := range declared(d) {
					name = regexp.MustCompile(`\[.*\]`).ReplaceAllString(name, "")
					if of, method, ok := strings.Cut(name, "."); ok {
						add(n.members, of, method)
						add(n.members, folder+"."+of, method)
						continue
					}
					add(n.packages, folder, name)
				}
			}
			ast.Inspect(s.root, func(node ast.Node) bool {
				if spec, ok := node.(*ast.TypeSpec); ok {
					for _, name := range membersOf(spec.Type) {
						add(n.members, spec.Name.Name, name)
						add(n.members, folder+"."+spec.Name.Name, name)
					}
				}
				return true
			})
		}
	}
	return n
}

// membersOf are the fields and methods of a type. An embedded type has a dot before its name.
func membersOf(of ast.Expr) (all []string) {
	var list []*ast.Field
	switch of := of.(type) {
	case *ast.StructType:
		list = of.Fields.List
	case *ast.InterfaceType:
		list = of.Methods.List
	case *ast.Ident:
		return []string{"." + of.Name}
	case *ast.SelectorExpr:
		return []string{"." + of.Sel.Name}
	}
	for _, field := range list {
		for _, name := range field.Names {
			all = append(all, name.Name)
		}
		if len(field.Names) > 0 {
			continue
		}
		embedded := field.Type
		if star, ok := embedded.(*ast.StarExpr); ok {
			embedded = star.X
		}
		for _, name := range membersOf(embedded) {
			all = append(all, name, strings.TrimPrefix(name, "."))
		}
	}
	return all
}

// isForeign reports whether a name begins with a variable, or with a package that isn't ours.
func (n names) isForeign(name string) bool {
	first, _, _ := strings.Cut(name, ".")
	return unicode.IsLower(rune(first[0])) && n.packages[first] == nil
}

// has reports whether a package or type declares a name.
func (n names) has(name string) bool {
	first, rest, _ := strings.Cut(name, ".")
	if declares := n.packages[first]; declares != nil {
		name, member, more := strings.Cut(rest, ".")
		if !more {
			return declares[name] || n.member(first, rest)
		}
		return declares[name] && n.member(first+"."+name, member)
	}
	return n.member(first, rest)
}

// member reports whether a type has a field or method, perhaps of a type that it embeds.
func (n names) member(of, name string) bool {
	have := n.members[of]
	if have[name] {
		return true
	}
	for embedded := range maps.Keys(have) {
		if inner, ok := strings.CutPrefix(embedded, "."); ok && inner != of && n.member(inner, name) {
			return true
		}
	}
	return false
}

var selector = regexp.MustCompile(`^\*?([A-Za-z]\w*)\.([A-Z]\w*)(?:\.([A-Z]\w*))?(?:\(.*\))?$`)

// goName returns the name of Go in a code span: a package or type, and names with capitals.
func goName(text string) string {
	m := selector.FindStringSubmatch(text)
	if m == nil || citedTest.MatchString(text) {
		return ""
	}
	return strings.TrimSuffix(fmt.Sprintf("%s.%s.%s", m[1], m[2], m[3]), ".")
}
