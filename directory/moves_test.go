package directory

import (
	"errors"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// keeping is a plan that has each worker keep n sessions.
func keeping(n int) func(*Table) (map[string]MoveOrder, error) {
	return func(t *Table) (map[string]MoveOrder, error) {
		orders := map[string]MoveOrder{}
		for _, w := range t.Ready() {
			orders[w.ID] = MoveOrder{Sessions: w.Clients - n, Keep: n, PerSecond: 1}
		}
		return orders, nil
	}
}

func TestOrdersReachTheirWorkers(t *testing.T) {
	t.Parallel()
	m, url := mini(t)
	d := node(t, url)
	reg, err := d.RegisterWorker(t.Context(), Worker{State: StateReady}, func() int { return 10 })
	if err != nil {
		t.Fatal(err)
	}
	moves := reg.Moves()
	testkit.Run(t, reg.Run)
	awaitState(t, d, reg.ID(), StateReady)
	if err := d.OrderMoves(t.Context(), keeping(7)); err != nil {
		t.Fatal(err)
	}
	if ttl := m.TTL("{sidereal:default}:move:" + reg.ID()); ttl != moveTTL && m.Exists("{sidereal:default}:move:"+reg.ID()) {
		t.Errorf("the order lives for %v", ttl)
	}
	if got, want := testkit.Receive(t, "order", moves), (MoveOrder{3, 7, 1}); got != want {
		t.Errorf("order %+v, want %+v", got, want)
	}
	if m.Exists("{sidereal:default}:move:" + reg.ID()) {
		t.Error("an order that was taken is still there")
	}
	// Others have to wait until they can see what it changed.
	if err := d.OrderMoves(t.Context(), keeping(1)); !errors.Is(err, ErrMovesOrdered) {
		t.Errorf("second plan: %v", err)
	}
	m.Del(d.keys.moves()) // as its TTL would
	if err := d.OrderMoves(t.Context(), keeping(5)); err != nil {
		t.Error(err)
	}
	if got := testkit.Receive(t, "order", moves); got.Keep != 5 {
		t.Errorf("order %+v", got)
	}
	if err := d.StopMoves(t.Context(), reg.ID()); err != nil {
		t.Error(err)
	}
	if got := testkit.Receive(t, "order", moves); got != (MoveOrder{}) {
		t.Errorf("order %+v, want to stop", got)
	}
}

// A plan sees the records as they are, not as this process last read them, and knows which workers
// are silent. A plan without orders lets the next one begin at once.
func TestOrdersArePlannedWithPresentRecords(t *testing.T) {
	t.Parallel()
	m, url := mini(t)
	d := node(t, url)
	reg, _ := join(t, d, Worker{}, d)
	silent, _ := join(t, d, Worker{}, d)
	m.Set("{sidereal:default}:worker:"+reg.ID(), `{"v":1,"id":"`+reg.ID()+`","state":"ready","clients":77,"moving":true}`)
	m.SetTTL("{sidereal:default}:worker:"+reg.ID(), recordTTL)
	none := errors.New("nothing to do")
	for _, want := range []error{none, nil} {
		d.MarkSilent(silent.ID(), true) // which ends by itself after 3 s
		err := d.OrderMoves(t.Context(), func(now *Table) (map[string]MoveOrder, error) {
			if w := now.Get(reg.ID()); w == nil || w.Clients != 77 && w.Clients != 0 { // a beat may have come meanwhile
				t.Errorf("planned with %+v", w)
			}
			w, known := now.Get(silent.ID()), d.Workers().Get(silent.ID())
			if known.State == StateSick && (w == nil || w.State != StateSick || len(now.Ready()) != 1) {
				t.Errorf("planned with %+v", w)
			}
			return nil, want
		})
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// The newest order counts, and an unreadable one is dropped.
func TestWorkersTakeTheNewestOrder(t *testing.T) {
	t.Parallel()
	m, url := mini(t)
	d := node(t, url)
	reg, err := d.RegisterWorker(t.Context(), Worker{State: StateReady}, nil)
	if err != nil {
		t.Fatal(err)
	}
	moves := reg.Moves()
	for _, order := range []string{`{"sessions":5}`, `{"sessions":-4,"keep":99999999999}`, `no order`} {
		m.Set(d.keys.move(reg.ID()), order)
		if _, err := reg.beat(t.Context(), told{}); err != nil {
			t.Fatal(err)
		}
		if m.Exists(d.keys.move(reg.ID())) {
			t.Errorf("%s is still there", order)
		}
	}
	if got := testkit.Receive(t, "order", moves); got.Sessions != 0 || got.Keep != countOf(got.Keep) || got.Keep == 0 {
		t.Errorf("order %+v", got)
	}
	select {
	case got := <-moves:
		t.Errorf("and then %+v", got)
	default:
	}
}

// Routers are told at once that a worker moves sessions: else they would give it new ones.
func TestMovingIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	_, url := mini(t)
	d := node(t, url)
	reg, _ := join(t, d, Worker{}, d)
	for _, moving := range []bool{true, false} {
		reg.Update(func(w *Worker) { w.Moving = moving })
		testkit.Await(t, "the change", d.Changed, func() bool { return d.Workers().Get(reg.ID()).Moving == moving })
	}
}
