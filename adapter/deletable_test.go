package adapter_test

import (
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestFormsCanBeDeleted builds the package without the file of a form, hence without its internal
// package. Streams brings recovery, and nothing else needs to know of it.
func TestFormsCanBeDeleted(t *testing.T) {
	for _, form := range []string{"sharded.go", "streams.go"} {
		t.Run(form, func(t *testing.T) { testkit.BuildWith(t, map[string]string{form: ""}) })
	}
}
