package redisconn

import "testing"

// TestSlots has the examples of the Redis Cluster specification, and what CLUSTER KEYSLOT answers.
func TestSlots(t *testing.T) {
	for name, want := range map[string]uint16{
		"123456789": 0x31c3, "": 0, "foo": 12182, "{foo}.bar": 12182, "x{foo}{bar}": 12182, "foo{}{bar}": 8363, "foo{{bar}}zap": 4015,
	} {
		if got := slotOf(name); got != want {
			t.Errorf("%q: slot %d, want %d", name, got, want)
		}
	}
}
