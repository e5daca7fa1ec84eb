package msgpack

import (
	"fmt"
	"testing"
)

func TestOnce(t *testing.T) {
	var o Once
	for _, n := range []int{0, 63, 64, 1000, 127, 128} {
		if !o.Take(n) || o.Take(n) {
			t.Error(fmt.Sprint(n, " is not taken once"))
		}
	}
}
