package wheel

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// run gives f a running wheel in a bubble of fake time.
func run(t *testing.T, tick time.Duration, f func(*testing.T, *Wheel)) {
	synctest.Test(t, func(t *testing.T) {
		w := New(tick)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		f(t, w)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestExpiresOnTime(t *testing.T) {
	run(t, 10*time.Millisecond, func(t *testing.T, w *Wheel) {
		for _, d := range []time.Duration{
			-time.Second, 0, 1, 10 * time.Millisecond, 11 * time.Millisecond, 640 * time.Millisecond, time.Second,
			25 * time.Second, 45 * time.Second, 41 * time.Minute, 50 * time.Hour, 300 * 24 * time.Hour,
		} {
			start := time.Now()
			fired := make(chan time.Duration, 1)
			w.Schedule(&Timer{Owner: Func(func() { fired <- time.Since(start) })}, d)
			want := max(d, 1)
			want = (want + w.tick - 1) / w.tick * w.tick
			if got := <-fired; got != want {
				t.Errorf("%v: expired after %v, want %v", d, got, want)
			}
		}
	})
}

func TestSameTickInOrder(t *testing.T) {
	run(t, 10*time.Millisecond, func(t *testing.T, w *Wheel) {
		var got []int
		for i := range 100 {
			w.Schedule(&Timer{Owner: Func(func() { got = append(got, i) })}, 7*time.Second)
		}
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if len(got) != 100 || !slices.IsSorted(got) {
			t.Errorf("order %v", got)
		}
	})
}

func TestStopAndReschedule(t *testing.T) {
	run(t, 10*time.Millisecond, func(t *testing.T, w *Wheel) {
		start := time.Now()
		var at []time.Duration
		tm := &Timer{Owner: Func(func() { at = append(at, time.Since(start)) })}
		if w.Stop(tm) {
			t.Error("stopped what was never set")
		}
		w.Schedule(tm, time.Second)
		if !w.Active(tm) || !w.Stop(tm) || w.Active(tm) {
			t.Error("a set timer was not active, or did not stop")
		}
		w.Schedule(tm, 5*time.Second)
		w.Schedule(tm, time.Second) // earlier than what Run sleeps for
		time.Sleep(2 * time.Second)
		w.Schedule(tm, time.Second)
		w.Schedule(tm, 5*time.Second)
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []time.Duration{time.Second, 7 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("expired at %v, want %v", at, want)
		}
	})
}

// A timer due at the same tick can still be stopped by one that expires before it.
func TestStopWithinExpire(t *testing.T) {
	run(t, time.Millisecond, func(t *testing.T, w *Wheel) {
		second := &Timer{Owner: Func(func() { t.Error("expired though stopped") })}
		w.Schedule(&Timer{Owner: Func(func() { w.Stop(second) })}, time.Second)
		w.Schedule(second, time.Second)
		n := 0
		var again *Timer
		again = &Timer{Owner: Func(func() {
			if n++; n < 5 {
				w.Schedule(again, 0)
			}
		})}
		w.Schedule(again, 0)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n != 5 {
			t.Errorf("rescheduled itself %d times, want 5", n)
		}
	})
}

func TestAgainstAModel(t *testing.T) {
	run(t, time.Millisecond, func(t *testing.T, w *Wheel) {
		rnd := rand.New(rand.NewPCG(1, 2))
		type entry struct {
			Timer
			want time.Time
			set  bool
		}
		es := make([]entry, 300)
		for i := range es {
			e := &es[i]
			e.Owner = Func(func() {
				if !e.set || !time.Now().Equal(e.want) {
					t.Errorf("timer %d: set %t, %v late", i, e.set, time.Since(e.want))
				}
				e.set = false
			})
		}
		for range 5000 {
			e := &es[rnd.IntN(len(es))]
			if rnd.IntN(4) == 0 {
				if w.Stop(&e.Timer) != e.set {
					t.Error("Stop told the wrong thing")
				}
				e.set = false
			} else {
				d := time.Duration(1+rnd.Int64N(1<<rnd.IntN(20))) * time.Millisecond
				e.want, e.set = time.Now().Add(d), true
				w.Schedule(&e.Timer, d)
			}
			if rnd.IntN(3) == 0 {
				time.Sleep(time.Duration(rnd.IntN(200)) * time.Millisecond)
				synctest.Wait()
			}
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		for i := range es {
			if es[i].set {
				t.Errorf("timer %d never expired", i)
			}
		}
	})
}

// TestContinueDoesNotAddUpDelays: what was noticed a little late counts from when it was due; after
// a stall it does not.
func TestContinueDoesNotAddUpDelays(t *testing.T) {
	w := New(time.Millisecond)
	var tm Timer
	tm.Owner = Func(func() {})
	for _, c := range []struct{ late, want time.Duration }{{0, 50 * time.Millisecond}, {maxLate / 2, 50 * time.Millisecond}, {time.Second, 1050 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			w.start = time.Now()
			w.now = 0
			w.Schedule(&tm, 100*time.Millisecond)
			time.Sleep(100*time.Millisecond + c.late)
			w.advance(uint64(time.Since(w.start) / w.tick))
			w.Continue(&tm, 50*time.Millisecond)
			if got := time.Duration(tm.when)*w.tick - 100*time.Millisecond; got != c.want {
				t.Errorf("noticed %v late: due %v after it was due, want %v", c.late, got, c.want)
			}
			w.Stop(&tm)
		})
	}
}

// A wheel that has run for long is as good as a new one, whatever digits of its time change.
func TestLongUptime(t *testing.T) {
	const tick = 100 * time.Microsecond
	for shift := 3 * levelBits; shift <= 42; shift += levelBits {
		synctest.Test(t, func(t *testing.T) {
			w := New(tick)
			w.start = w.start.Add(-tick<<shift + time.Second)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- w.Run(ctx) }()
			synctest.Wait()
			start := time.Now()
			for _, d := range []time.Duration{time.Millisecond, 2 * time.Second, time.Minute} {
				fired := make(chan time.Duration, 1)
				w.Schedule(&Timer{Owner: Func(func() { fired <- time.Since(start) })}, d)
				if got, want := <-fired, d; got != want {
					t.Errorf("2^%d ticks: expired after %v, want %v", shift, got, want)
				}
				start = time.Now()
			}
			stop()
			<-ended
		})
	}
}

func TestNoAllocations(t *testing.T) {
	w := New(time.Millisecond)
	tm := &Timer{Owner: Func(func() {})}
	if n := testing.AllocsPerRun(100, func() { w.Schedule(tm, time.Second); w.Stop(tm) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkSchedule(b *testing.B) {
	w := New(10 * time.Millisecond)
	timers := make([]Timer, 100_000)
	for i := range timers {
		timers[i].Owner = Func(func() {})
		w.Schedule(&timers[i], 25*time.Second)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.Schedule(&timers[i%len(timers)], 25*time.Second)
		i++
	}
}
