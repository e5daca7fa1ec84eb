package directory

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// A trace says what Owner would, from each source, and asking changes nothing.
func TestTrace(t *testing.T) {
	m, url := mini(t)
	a, b := node(t, url), node(t, url)
	reg, _ := join(t, a, Worker{Tags: true}, a, b)
	id := reg.ID()
	learned, tagged, strange := MintSID(id), MintSID(id), MintSID("____")
	a.Learn(context.Background(), learned, id, 0)
	settle(a)
	m.SetTTL("sidereal:default:sid:"+learned, time.Minute)
	for _, c := range []struct {
		d    *Directory
		want Trace
	}{
		{a, Trace{SID: learned, Decision: DecisionCache, Cache: id, Entry: id, TTL: time.Minute, Tag: id}},
		{b, Trace{SID: learned, Decision: DecisionTable, Entry: id, TTL: time.Minute, Tag: id}},
		{b, Trace{SID: learned, Decision: DecisionTable, Entry: id, TTL: time.Minute, Tag: id}}, // still not remembered
		{b, Trace{SID: tagged, Decision: DecisionTag, Tag: id}},
		{b, Trace{SID: strange, Decision: DecisionUnknown, Tag: "____"}},
		{b, Trace{SID: "no sid", Decision: DecisionUnknown}},
		{b, Trace{Decision: DecisionUnknown}},
	} {
		got, err := c.d.Trace(context.Background(), c.want.SID)
		if err != nil {
			t.Fatal(err)
		}
		if (got.Worker != nil) != (c.want.Decision != DecisionUnknown) || got.Worker != nil && got.Worker.ID != id {
			t.Errorf("%+v: owned by %v", c.want, got.Worker)
		}
		if got.Worker = nil; got != c.want {
			t.Errorf("got %+v\nwant %+v", got, c.want)
		}
		if o := c.d.sids.cache.len(); c.d == b && o != 0 {
			t.Errorf("%d sids are remembered", o)
		}
	}
	alone := NewStatic(Worker{ID: id, Tags: true}, Worker{ID: "http://10.0.0.4:3000"})
	alone.Learn(context.Background(), strange, "http://10.0.0.4:3000", 0)
	for sid, want := range map[string]string{tagged: DecisionTag, strange: DecisionCache, "no sid": DecisionUnknown} {
		if got, err := alone.Trace(context.Background(), sid); err != nil || got.Decision != want || (got.Worker == nil) != (want == DecisionUnknown) {
			t.Errorf("%s, without Redis at all: %+v, %v", sid, got, err)
		}
	}
	m.Close()
	got, err := a.Trace(context.Background(), learned)
	if !errors.Is(err, redisconn.ErrUnreachable) || !got.Away || got.Decision != DecisionCache || got.Worker == nil {
		t.Errorf("without Redis: %+v, %v", got, err)
	}
}
