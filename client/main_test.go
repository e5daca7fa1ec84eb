package client_test

import (
	"context"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m)
}

// contextOf is a context that outlives the test's own, which ends before the test's cleanups run.
func contextOf(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithoutCancel(t.Context()))
}
