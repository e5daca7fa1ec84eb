package directory

import (
	"context"
	"strconv"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestSessionsGoOnWhileRedisIsAway(t *testing.T) {
	m, url := mini(t)
	a, b := node(t, url), node(t, url)
	tagging, _ := join(t, a, Worker{Tags: true}, a, b)
	plain, _ := join(t, a, Worker{}, a, b)
	old := MintSID(tagging.ID())
	a.Learn(context.Background(), old, tagging.ID(), 0)
	a.Learn(context.Background(), "untagged", plain.ID(), 0)
	expectOwner(t, b, "untagged", plain.ID(), DecisionTable)

	m.Close()
	for _, d := range []*Directory{a, b} {
		d.conn.Doubt()
		testkit.Await(t, "Redis down", d.conn.Changed, func() bool { return !d.conn.Up() })
	}
	if n := len(a.Workers().Ready()); n != 2 {
		t.Errorf("%d ready workers while Redis is away, want 2", n)
	}
	expectOwner(t, a, old, tagging.ID(), DecisionCache)
	expectOwner(t, b, old, tagging.ID(), DecisionTag)
	expectOwner(t, b, "untagged", plain.ID(), DecisionCache)
	fresh := MintSID(tagging.ID())
	a.Learn(context.Background(), fresh, tagging.ID(), 0)
	a.Learn(context.Background(), "fresh untagged", plain.ID(), 0)
	a.Touch(fresh)
	expectOwner(t, b, fresh, tagging.ID(), DecisionTag)
	expectOwner(t, b, "fresh untagged", "", DecisionUnknown)

	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	awaitKey(t, url, "sidereal:default:sid:"+fresh, tagging.ID())
	awaitKey(t, url, "sidereal:default:sid:fresh untagged", plain.ID())
	testkit.Await(t, "Redis up", b.conn.Changed, b.conn.Up)
	expectOwner(t, b, "fresh untagged", plain.ID(), DecisionTable)
}

func TestRedisThatLostEverythingIsToldAgain(t *testing.T) {
	r := testkit.StartRedis(t)
	a, b := node(t, r.URL()), node(t, r.URL())
	reg, _ := join(t, a, Worker{}, a, b)
	secret, err := a.Secret(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	const count = 3 * batchMost
	for i := range count {
		a.sids.cache.put("s"+strconv.Itoa(i), reg.ID(), defaultSIDTTL, a.now(), a.now())
	}
	watching := make(chan struct{})
	lost := make(chan State, 1)
	go func() { // whoever is lost or gone meanwhile is so in some table
		defer close(lost)
		for {
			changed := b.Changed()
			if w := b.Workers().Get(reg.ID()); w == nil || w.State != StateReady {
				lost <- StateLost
				return
			}
			select {
			case <-changed:
			case <-watching:
				return
			}
		}
	}()
	for range 2 {
		r.Restart()
		awaitKey(t, r.URL(), "sidereal:default:sid:s"+strconv.Itoa(count-1), reg.ID())
		awaitKey(t, r.URL(), "sidereal:default:sid:s0", reg.ID())
		awaitKey(t, r.URL(), "{sidereal:default}:secret", secret)
	}
	close(watching)
	for state := range lost {
		t.Errorf("the worker was %s for a while", state)
	}
	if again, err := b.Secret(context.Background()); again != secret || err != nil {
		t.Errorf("another secret: %v", err)
	}
}
