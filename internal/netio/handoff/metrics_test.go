package handoff

import (
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestListenersOfOneRegistryAreCountedTogether(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	for _, id := range []string{"wrkA", "wrkB"} {
		l, err := Listen(filepath.Join(t.TempDir(), "w.sock"), id)
		if err != nil {
			t.Fatal(err)
		}
		l.lose() // before anybody looks
		if err := l.Register(reg); err != nil {
			t.Fatal(err)
		}
		l.lose()
		if l.Lost() != 2 {
			t.Errorf("%s lost %d", id, l.Lost())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || families[0].Metric[0].Counter.GetValue() != 4 {
		t.Errorf("%v, %v", families, err)
	}
}
