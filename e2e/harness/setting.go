package harness

import (
	"os"
	"testing"
)

// Setting reads a value of the environment.
func Setting[T any](t testing.TB, variable string, otherwise T, parse func(string) (T, error)) T {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	v, err := parse(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return v
}
