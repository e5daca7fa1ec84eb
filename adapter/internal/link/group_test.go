package link

import "testing"

func TestAGroupForgetsAtLast(t *testing.T) {
	var g Group
	for i := range remembered + 1 {
		uid := string(rune('a')) + string(rune(i))
		g.add("/", uid)
		g.remove("/", uid)
	}
	if len(g.uids) != remembered || g.has([]byte("a\x00")) || len(g.members) != 0 {
		t.Errorf("%d uids, %d namespaces", len(g.uids), len(g.members))
	}
	var none *Group
	if none.has([]byte("x")) || none.others("/", "x") != nil {
		t.Error("no group has members")
	}
}
