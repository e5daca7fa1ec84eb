package testkit

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// MiniRedis starts an in-memory Redis on a free port of 127.0.0.1 that ends with the test. Its TTLs
// stand still until FastForward. Close and Restart play a Redis that goes away and comes back with
// its data.
func MiniRedis(t testing.TB) *miniredis.Miniredis {
	t.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		t.Fatalf("miniredis: %v", err)
	}
	t.Cleanup(m.Close)
	return m
}
