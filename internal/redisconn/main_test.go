package redisconn

import (
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m)
}

// open makes a Conn to url that is closed with the test.
func open(t testing.TB, cfg Config) *Conn {
	t.Helper()
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
