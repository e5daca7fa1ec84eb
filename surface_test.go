package sidereal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestNothingExportedMentionsAnInternalType walks everything that a program outside this module can
// name. A type that it can't import there would be a part that it can't build or store.
func TestNothingExportedMentionsAnInternalType(t *testing.T) {
	files, public := exports(t)
	imp := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(files[path])
	})
	for _, path := range public {
		p, err := imp.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		s := surface{found: map[string]bool{}, seen: map[types.Type]bool{}}
		for _, name := range p.Scope().Names() {
			if token.IsExported(name) {
				s.object(p.Scope().Lookup(name))
			}
		}
		for _, f := range slices.Sorted(maps.Keys(s.found)) {
			t.Error(f)
		}
	}
}

// exports returns the export data of every package that ours need, and the packages that others may
// import.
func exports(t *testing.T) (files map[string]string, public []string) {
	t.Helper()
	raw, err := testkit.Go(t, "list", "-export", "-deps", "-json=ImportPath,Name,Export,DepOnly", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files = map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(raw))); ; {
		var p struct {
			ImportPath, Name, Export string
			DepOnly                  bool
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		files[p.ImportPath] = p.Export
		if !p.DepOnly && p.Name != "main" && !internal(p.ImportPath) {
			public = append(public, p.ImportPath)
		}
	}
	if len(public) < 10 {
		t.Fatalf("only these packages are public: %q", public)
	}
	return files, public
}

// internal reports a package of ours that others can't import, or that isn't for them.
func internal(path string) bool {
	ours, is := strings.CutPrefix(path, module)
	return is && (strings.Contains("/"+ours+"/", "/internal/") || strings.HasPrefix(ours, "e2e/") || strings.HasPrefix(ours, "examples/"))
}

// surface collects what the exported names of a package mention.
type surface struct {
	at    string // the name that is looked at
	found map[string]bool
	seen  map[types.Type]bool // named types of the package
}

func (s *surface) object(o types.Object) {
	s.at = strings.TrimPrefix(o.Pkg().Path(), module) + "." + o.Name()
	name, ok := o.(*types.TypeName)
	if !ok {
		s.mention(o.Type())
		return
	}
	if alias, ok := o.Type().(*types.Alias); ok {
		s.mention(alias.Rhs())
		return
	}
	s.define(name)
}

// define walks a type of the package: its parameters, fields and methods.
func (s *surface) define(name *types.TypeName) {
	named := name.Type().(*types.Named)
	if s.seen[named] {
		return
	}
	s.seen[named] = true
	at := s.at
	for p := range named.TypeParams().TypeParams() {
		s.mention(p.Constraint())
	}
	s.mention(named.Underlying())
	for m := range types.NewMethodSet(types.NewPointer(named)).Methods() {
		if m.Obj().Exported() {
			s.at = at + "." + m.Obj().Name()
			s.mention(m.Type())
		}
	}
	s.at = at
}

// mention walks a type expression.
func (s *surface) mention(t types.Type) {
	at := s.at
	defer func() { s.at = at }()
	switch t := t.(type) {
	case *types.Alias:
		s.named(t.Obj(), t.TypeArgs())
	case *types.Named:
		s.named(t.Obj(), t.TypeArgs())
	case *types.Pointer:
		s.mention(t.Elem())
	case *types.Slice:
		s.mention(t.Elem())
	case *types.Array:
		s.mention(t.Elem())
	case *types.Chan:
		s.mention(t.Elem())
	case *types.Map:
		s.mention(t.Key())
		s.mention(t.Elem())
	case *types.Tuple:
		for v := range t.Variables() {
			s.mention(v.Type())
		}
	case *types.Signature:
		s.mention(t.Params())
		s.mention(t.Results())
		for p := range t.TypeParams().TypeParams() {
			s.mention(p.Constraint())
		}
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() {
				s.at = at + "." + f.Name()
				s.mention(f.Type())
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			if m.Exported() {
				s.at = at + "." + m.Name()
				s.mention(m.Type())
			}
		}
		for e := range t.EmbeddedTypes() {
			s.at = at
			s.mention(e)
		}
	case *types.Union:
		for term := range t.Terms() {
			s.mention(term.Type())
		}
	}
}

func (s *surface) named(o *types.TypeName, args *types.TypeList) {
	if o.Pkg() != nil && internal(o.Pkg().Path()) {
		s.found[fmt.Sprintf("%s mentions %s.%s", s.at, strings.TrimPrefix(o.Pkg().Path(), module), o.Name())] = true
	}
	for a := range args.Types() {
		s.mention(a)
	}
	// An unexported type of the package itself still shows its fields and methods to others.
	if o.Pkg() != nil && strings.HasPrefix(s.at, strings.TrimPrefix(o.Pkg().Path(), module)+".") && !o.Exported() {
		if _, ok := o.Type().(*types.Named); ok {
			s.define(o)
		}
	}
}

// TestTheOutsideModuleBuilds compiles the programs of e2e/outside and their tests, which `make test`
// runs. Nothing is linked, and nothing is compiled that `make test` does not need.
func TestTheOutsideModuleBuilds(t *testing.T) {
	build := testkit.Go(t, "list", "-test", "-export", "./...")
	build.Dir = "e2e/outside"
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", build.Dir, err, out)
	}
}
