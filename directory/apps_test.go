package directory

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// Apps are told from the records of workers and routers, whatever else Redis holds.
func TestApps(t *testing.T) {
	t.Parallel()
	m, url := mini(t)
	d := node(t, url)
	check := func(when string, want ...string) {
		t.Helper()
		if got, err := d.Apps(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", when, got, err, want)
		}
	}
	check("in an empty Redis")
	for _, key := range []string{
		"{sidereal:gone}:workers", "{sidereal:gone}:secret", "sidereal:gone:sid:worker:x", "{sidereal:chat}:worker:a", "{sidereal:chat}:worker:b",
		"{sidereal:desk}:router:c", "{other:x}:worker:d",
	} {
		if err := m.Set(key, "x"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3000 { // more than one step
		if err := m.Set(fmt.Sprint("key ", i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	check("beside other keys", "chat", "desk")
	for i := range maxApps {
		if err := m.Set(fmt.Sprintf("{sidereal:app%d}:worker:a", i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := d.Apps(t.Context()); err != nil || len(got) != maxApps {
		t.Errorf("%d apps, %v; want %d", len(got), err, maxApps)
	}
}

func TestAppsWithoutRedis(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	d := node(t, r.URL())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := d.Apps(ended); err == nil {
		t.Errorf("with an ended context: %q, and no error", got)
	}
	r.Kill()
	if got, err := d.Apps(t.Context()); err == nil {
		t.Errorf("without Redis: %q, and no error", got)
	}
}
