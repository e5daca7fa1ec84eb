package sidereal_test

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

//go:generate go test -run TestGuideShowsTheApp . -update

// TestGuideShowsTheApp wants each block of code in docs/app.md to be what a comment above it names:
// a file, or declarations of a Go file. Their own tests compile and run them.
func TestGuideShowsTheApp(t *testing.T) {
	const guide = "docs/app.md"
	page := read(t, guide)
	cited := regexp.MustCompile(`<!-- (\S+?)(?:: (.*))? -->\n` + "```" + `(\w+)\n(?s:(.*?))` + "```\n")
	code := regexp.MustCompile("(?m)^```(go|nginx|yaml|ini)$")
	if named, all := len(cited.FindAllString(page, -1)), len(code.FindAllString(page, -1)); named != all || all < 10 {
		t.Errorf("%s has %d blocks of code, and %d with the comment that says what they show", guide, all, named)
	}
	updated := cited.ReplaceAllStringFunc(page, func(block string) string {
		m := cited.FindStringSubmatch(block)
		want := strings.TrimRight(read(t, m[1]), "\n") + "\n"
		if path.Ext(m[1]) == ".go" && m[2] != "" {
			var parts []string
			for name := range strings.SplitSeq(m[2], ", ") {
				parts = append(parts, declaration(t, m[1], name))
			}
			want = strings.Join(parts, "\n")
		}
		begin, _, _ := strings.Cut(block, "\n")
		return fmt.Sprintf("%s\n```%s\n%s```\n", begin, m[3], want)
	})
	if updated == page {
		return
	}
	if !testkit.Updating() {
		t.Fatalf("%s doesn't show the code as it is: run `make generate`", guide)
	}
	if err := os.WriteFile(guide, []byte(updated), 0o644); err != nil {
		t.Fatal(err)
	}
}

// declaration is the source of a function, Type.method, type, constant or variable, with its
// comment.
func declaration(t *testing.T, file, name string) string {
	t.Helper()
	text := read(t, file)
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range tree.Decls {
		if !slices.Contains(declared(d), name) {
			continue
		}
		from, to := d.Pos(), d.End()
		if doc := documentation(d); doc != nil {
			from = doc.Pos()
		}
		return text[set.Position(from).Offset:set.Position(to).Offset] + "\n"
	}
	t.Fatalf("%s doesn't declare %s", file, name)
	return ""
}

// declared are the names of a declaration.
func declared(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			var receiver strings.Builder
			_ = format.Node(&receiver, token.NewFileSet(), d.Recv.List[0].Type) // a strings.Builder takes everything
			name = strings.TrimPrefix(receiver.String(), "*") + "." + name
		}
		names = append(names, name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				for _, n := range spec.Names {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

func documentation(d ast.Decl) *ast.CommentGroup {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Doc
	case *ast.GenDecl:
		return d.Doc
	}
	return nil
}
