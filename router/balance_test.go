package router

import (
	"testing"
)

func TestLeastConnectionTakesTheLessLoadedOfTwo(t *testing.T) {
	loads := []load{{clients: 5}, {clients: 3}, {clients: 9}}
	for _, c := range []struct {
		rnd  [2]int // what the two draws answer
		want int
	}{{[2]int{0, 0}, 1}, {[2]int{0, 1}, 0}, {[2]int{1, 0}, 1}, {[2]int{2, 0}, 0}, {[2]int{2, 1}, 1}} {
		draws := c.rnd[:]
		got := leastConnection.pick(3, 0, func(int) int {
			d := draws[0]
			draws = draws[1:]
			return d
		}, func(i int) load { return loads[i] })
		if got != c.want {
			t.Errorf("draws %v: %d, want %d", c.rnd, got, c.want)
		}
	}
}

func TestLeastConnectionPrefersThisHostAmongEqual(t *testing.T) {
	loads := []load{{clients: 5}, {clients: 5, here: true}}
	for first := range 2 {
		n := 0
		got := leastConnection.pick(2, 0, func(int) int {
			if n++; n == 1 {
				return first
			}
			return 0
		}, func(i int) load { return loads[i] })
		if got != 1 {
			t.Errorf("first draw %d: %d", first, got)
		}
	}
}

func TestRoundRobinGoesRound(t *testing.T) {
	var count [4]int
	for turn := range uint64(400) {
		count[roundRobin.pick(4, turn, nil, nil)]++
	}
	if count != [4]int{100, 100, 100, 100} {
		t.Errorf("%v", count)
	}
}
