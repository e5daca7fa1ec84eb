package directory

import (
	"context"
	"strconv"
	"testing"
	"time"
)

func TestCacheIsBoundedAndDropsTheLeastUsed(t *testing.T) {
	c := newCache(cacheShards * 4)
	for i := range 10_000 {
		c.put(strconv.Itoa(i), "w", time.Minute, int64(i), 1)
		if _, ok := c.owner("0", int64(i)); !ok { // used all the time
			t.Fatalf("the entry in use left after %d others", i)
		}
	}
	if n := c.len(); n > cacheShards*4 {
		t.Errorf("%d entries, want at most %d", n, cacheShards*4)
	}
	if _, ok := c.owner("1", 0); ok {
		t.Error("an entry that nobody used is still there")
	}
}

func TestCacheTellsWhenAnUnwrittenEntryLeaves(t *testing.T) {
	c := newCache(cacheShards)
	var lost int
	for i := range 1000 {
		if c.put(strconv.Itoa(i), "w", time.Minute, 0, 0) {
			lost++
		}
	}
	if lost != 1000-c.len() {
		t.Errorf("%d lost, %d of 1000 there", lost, c.len())
	}
}

func TestRenewalIsDueOncePerThirdOfTheTTL(t *testing.T) {
	c := newCache(1000)
	ttl := 90 * time.Second
	at := func(d time.Duration) int64 { return int64(d) + 1 }
	c.put("s", "w", ttl, at(0), at(0))
	if _, _, due := c.due("s", at(ttl/3-1)); due {
		t.Error("due before a third has passed")
	}
	owner, got, due := c.due("s", at(ttl/3))
	if !due || owner != "w" || got != ttl {
		t.Fatalf("after a third: %q, %v, %v", owner, got, due)
	}
	if _, _, again := c.due("s", at(ttl/3)); again {
		t.Error("due while the write is under way")
	}
	c.failed("s")
	if _, _, again := c.due("s", at(ttl/3)); !again {
		t.Error("not due after the write failed")
	}
	c.wrote("s", at(ttl/3))
	if _, _, again := c.due("s", at(ttl/3+ttl/3-1)); again {
		t.Error("due again before the next third")
	}
	c.put("fresh", "w", ttl, at(0), 0)
	if _, _, due := c.due("fresh", at(0)); due {
		t.Error("due while its first write is under way")
	}
	c.failed("fresh")
	if _, _, due := c.due("fresh", at(0)); !due {
		t.Error("an entry that Redis never got is not due")
	}
	if _, _, due := c.due("stranger", at(0)); due {
		t.Error("a sid that was never seen is due")
	}
}

func TestCacheExpiresWhatNobodyUses(t *testing.T) {
	c := newCache(1000)
	for i := range 100 {
		c.put(strconv.Itoa(i), "w", 10*time.Second, 1, 1)
	}
	c.owner("7", int64(6*time.Second))
	c.expire(int64(11 * time.Second))
	if _, ok := c.owner("7", int64(11*time.Second)); !ok || c.len() != 1 {
		t.Errorf("%d entries left, the used one: %v", c.len(), ok)
	}
}

func TestCollectFindsWhatRedisLacks(t *testing.T) {
	c := newCache(1000)
	c.put("written", "w", time.Minute, 1, 1)
	c.put("not", "w", time.Minute, 1, 0)
	count := func() (n int) {
		for i := range cacheShards {
			n += len(c.collect(i, nil))
		}
		return n
	}
	if n := count(); n != 0 {
		t.Errorf("%d collected whose first write is under way", n)
	}
	c.failed("not")
	if once, again := count(), count(); once != 1 || again != 0 {
		t.Errorf("%d collected of 1, and again %d", once, again)
	}
	c.forgetWrites()
	if n := count(); n != 2 {
		t.Errorf("%d collected of 2", n)
	}
	c.wrote("not", 1)
	c.wrote("written", 1)
	if n := count(); n != 0 {
		t.Errorf("%d collected that are written", n)
	}
}

func filled(n int) (*Static, []string) {
	s := NewStatic(Worker{ID: "aaaa"})
	sids := make([]string, n)
	for i := range sids {
		sids[i] = MintSID("aaaa")
		s.Learn(context.Background(), sids[i], "aaaa", 0)
	}
	return s, sids
}

func TestCachedLookUpAllocatesNothing(t *testing.T) {
	_, url := mini(t)
	d := node(t, url)
	reg, _ := join(t, d, Worker{Tags: true}, d)
	sid := MintSID(reg.ID())
	d.Learn(context.Background(), sid, reg.ID(), 0)
	allocs := testing.AllocsPerRun(1000, func() {
		if o := d.Owner(context.Background(), sid); o.Decision != DecisionCache {
			t.Fatalf("found by %s", o.Decision)
		}
		d.Touch(sid)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkOwnerFromCache(b *testing.B) {
	_, url := mini(b)
	d := node(b, url)
	reg, _ := join(b, d, Worker{}, d)
	sids := make([]string, 1<<14)
	for i := range sids {
		sids[i] = MintSID(reg.ID())
		d.sids.cache.put(sids[i], reg.ID(), time.Hour, d.now(), d.now())
	}
	ctx := context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if d.Owner(ctx, sids[i&(1<<14-1)]).Worker == nil {
			b.Fatal("not found")
		}
	}
}

func BenchmarkOwnerFromCacheParallel(b *testing.B) {
	s, sids := filled(1 << 14)
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			s.Owner(ctx, sids[i&(1<<14-1)])
		}
	})
}
