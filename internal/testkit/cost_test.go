package testkit

import (
	"strings"
	"testing"
	"time"
)

// complaints stands for a test that hears of too high a cost.
type complaints struct {
	testing.TB
	n int
}

func (c *complaints) Helper()               {}
func (c *complaints) Errorf(string, ...any) { c.n++ }

func TestBoundCost(t *testing.T) {
	var sink string
	for _, c := range []struct {
		name string
		work func()
		want int
	}{
		{"nothing", func() {}, 0},
		{"memory within the bound", func() { sink = strings.Repeat("x", costBytes/2) }, 0},
		{"too much memory", func() { sink = strings.Repeat("x", costBytes+1000*costPerByte+1<<20) }, 1},
		{"too much time", func() {
			for began := threadTime(); threadTime()-began < costTime+1000*costTimeByte+time.Millisecond; {
			}
		}, 1},
	} {
		heard := &complaints{TB: t}
		end := BoundCost(heard, 1000)
		c.work()
		end()
		if heard.n != c.want {
			t.Errorf("%s: %d complaints, want %d", c.name, heard.n, c.want)
		}
	}
	_ = sink
}
