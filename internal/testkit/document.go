package testkit

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated parts of documents anew")

// Updating reports whether the test is to write documents anew, as -update says.
func Updating() bool { return *update }

// Document keeps the part of a document between two marks, each a whole line, equal to what the
// code says. With -update it writes that part anew; the rest of the document is others'.
func Document(t testing.TB, file, begins, ends, want string) {
	t.Helper()
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(old), begins+"\n")
	part, after, ended := strings.Cut(rest, ends+"\n")
	if !begun || !ended {
		t.Fatalf("%s has no part between %q and %q", file, begins, ends)
	}
	if part == want {
		return
	}
	if !Updating() {
		t.Fatalf("%s is not what the code says: run `make generate`", file)
	}
	if err := os.WriteFile(file, []byte(before+begins+"\n"+want+ends+"\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
