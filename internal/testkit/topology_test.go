//go:build unix

package testkit

import "testing"

func TestClusterMovesAndFailsOver(t *testing.T) {
	c := StartCluster(t)
	owner := c.Owner("key")
	other := c.Other(owner)
	c.Move("key", other)
	if got := c.Owner("key"); got != other {
		t.Errorf("%s serves the key, want %s", got.Addr(), other.Addr())
	}
	heir := c.Replica(other)
	other.Kill()
	c.Promote(other)
	if got := c.Owner("key"); got != heir {
		t.Errorf("%s serves the key, want %s", got.Addr(), heir.Addr())
	}
}

func TestSentinelFailsOver(t *testing.T) {
	s := StartSentinel(t)
	if s.Master() != s.First {
		t.Error("the first is not the master")
	}
	s.First.Kill()
	s.Promoted(s.Second)
}
