package engineio

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// worker is a Receiver that leaves what it receives to be done later.
type worker struct {
	*recorder
	do func(message string, brief bool) (done bool)

	late chan struct{}
	got  []string
}

func (w *worker) Receive(data []byte, _ bool) { w.got = append(w.got, string(data)) }

func (w *worker) Busy() bool { return false }

func (w *worker) Pinned() bool { return false }

func (w *worker) IdleOn(loop eventloop.Loop) {
	for _, message := range w.got {
		loop.Later(&task{w, message})
	}
	w.got = nil
}

type task struct {
	*worker
	message string
}

func (t *task) Do(limit eventloop.Limit) bool {
	return t.do(t.message, limit != eventloop.Unlimited)
}
func (t *task) Overdue() { t.late <- struct{}{} }

// hasPoller reports whether a poller reads.
func hasPoller(drive string) bool { return drive == onPoller && runtime.GOOS == "linux" }

// serveWork runs a server whose sessions leave their messages to do.
func serveWork(t *testing.T, drive string, do func(message string, brief bool) (done bool)) (*fixture, chan struct{}) {
	late := make(chan struct{}, 100)
	f := serve(t, Config{Open: func(s *Session) Receiver { return &worker{recorder: newRecorder(s), do: do, late: late} }}, drive)
	return f, late
}

// What may not be brief is done all the same, on a goroutine of its own; only a poller asks for it
// to be.
func TestWorkIsDoneOnce(t *testing.T) {
	for _, drive := range drives {
		t.Run(drive, func(t *testing.T) {
			type call struct {
				message string
				brief   bool
			}
			calls := make(chan call, 10)
			f, _ := serveWork(t, drive, func(message string, brief bool) bool {
				calls <- call{message, brief}
				return !brief || message == "short"
			})
			c := f.websocket("")
			defer c.Close()
			c.send("4short")
			if got := <-calls; got.brief != (hasPoller(drive)) {
				t.Errorf("%v", got)
			}
			c.send("4long")
			got := <-calls
			if got.brief {
				got = <-calls
			}
			if want := (call{"long", false}); got != want {
				t.Errorf("%v, want %v", got, want)
			}
			c.Close()
			f.stop()
			if len(calls) > 0 {
				t.Errorf("and %v", <-calls)
			}
		})
	}
}

// Work that waits for what another connection brings, and one that ends its goroutine, keep nobody
// from being served.
func TestWorkThatBlocks(t *testing.T) {
	for _, drive := range drives {
		t.Run(drive, func(t *testing.T) {
			release, released := make(chan struct{}), make(chan struct{}, 10)
			f, late := serveWork(t, drive, func(message string, _ bool) bool {
				switch message {
				case "wait":
					<-release
					released <- struct{}{}
				case "release":
					close(release)
				case "exit":
					defer func() { released <- struct{}{} }()
					runtime.Goexit()
				case "done":
					released <- struct{}{}
				}
				return true
			})
			waiting, other := f.websocket(""), f.websocket("")
			defer waiting.Close()
			defer other.Close()
			waiting.send("4wait")
			if hasPoller(drive) {
				<-late
			}
			other.send("4release")
			<-released
			waiting.send("4exit")
			<-released
			other.send("4done")
			<-released
		})
	}
}

func unwatched(bool) {}

type workFunc func(brief bool) (done bool)

func (f workFunc) Do(limit eventloop.Limit) bool { return f(limit != eventloop.Unlimited) }
func (workFunc) Overdue()                        {}

// More Work than one goroutine does soon is done by several, where there are cores for them, even
// before a leader is overdue.
func TestMuchWorkGetsHelp(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	var tasks sync.WaitGroup
	sched := newScheduler(&pool{tasks: &tasks}, func() { t.Error("a new leader") }, func() {}, unwatched)
	helped := make(chan struct{})
	sched.leader.add(workFunc(func(bool) bool { <-helped; return true }))
	var others atomic.Int32
	for range helpAt {
		sched.leader.add(workFunc(func(bool) bool {
			if others.Add(1) == 1 {
				close(helped)
			}
			return true
		}))
	}
	if !sched.work() {
		t.Error("the leader was replaced")
	}
	tasks.Wait()
	if n := others.Load(); n != helpAt {
		t.Errorf("%d others done, want %d", n, helpAt)
	}
}

// A leader that was replaced leaves no Work in the queue: the one who takes from it may wait for
// events.
func TestReplacedLeaderQueuesNothing(t *testing.T) {
	lost := 0
	sched := newScheduler(&pool{tasks: new(sync.WaitGroup)}, func() {}, func() { lost++ }, unwatched)
	w := workFunc(func(bool) bool { return true })
	old := sched.leader
	turn := sched.begin(nil)
	if !old.add(w) {
		t.Error("the leader's Work is refused")
	}
	if _, ok := sched.replace(turn); !ok || lost != 1 {
		t.Errorf("replaced %v, told %d times", ok, lost)
	}
	if sched.end(turn) || old.add(w) {
		t.Error("still leads")
	}
	if _, ok := sched.replace(turn); ok || lost != 1 {
		t.Error("replaced twice")
	}
	if !sched.leader.add(w) || sched.queue.len() != 2 {
		t.Errorf("%d wait", sched.queue.len())
	}
}

type limits []eventloop.Limit

func (l *limits) Do(limit eventloop.Limit) bool {
	*l = append(*l, limit)
	return true
}

func (*limits) Overdue() {}

// The leader may spend more on Work while no other waits.
func TestLastWorkMayBeShort(t *testing.T) {
	sched := newScheduler(&pool{tasks: new(sync.WaitGroup)}, func() {}, func() {}, unwatched)
	var got limits
	for range 2 {
		sched.leader.add(&got)
		sched.leader.add(&got)
		sched.work()
	}
	if want := (limits{eventloop.Brief, eventloop.Short, eventloop.Brief, eventloop.Short}); !slices.Equal(got, want) {
		t.Errorf("limits %v, want %v", got, want)
	}
}

// The watch is on from a turn until the leader has nothing to do.
func TestWatchFollowsTheLeader(t *testing.T) {
	var set []bool
	sched := newScheduler(&pool{tasks: new(sync.WaitGroup)}, func() {}, func() {}, func(on bool) { set = append(set, on) })
	for range 2 {
		for range 3 {
			sched.end(sched.begin(nil))
		}
		sched.rest()
		sched.rest()
	}
	if want := []bool{true, false, true, false}; !slices.Equal(set, want) {
		t.Errorf("set %v, want %v", set, want)
	}
}

// Quick turns put the watch off.
func TestQuickTurnsPutTheWatchOff(t *testing.T) {
	set := 0
	sched := newScheduler(&pool{tasks: new(sync.WaitGroup)}, func() {}, func() {}, func(bool) { set++ })
	sched.end(sched.begin(nil))
	for n := range 3 {
		sched.since = sched.since.Add(-time.Hour)
		for range lookEvery {
			sched.end(sched.begin(nil))
		}
		if set != n+2 {
			t.Errorf("set %d times, want %d", set, n+2)
		}
	}
}

func TestWorkAllocatesNothing(t *testing.T) {
	sched := newScheduler(&pool{tasks: new(sync.WaitGroup)}, func() {}, func() {}, unwatched)
	w := workFunc(func(bool) bool { return true })
	if n := testing.AllocsPerRun(100, func() {
		sched.leader.add(w)
		sched.work()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Work that blocks does not keep other Work waiting, and one that ends its goroutine does not keep
// the rest from being done.
func TestPoolDoesAll(t *testing.T) {
	var tasks sync.WaitGroup
	p := pool{tasks: &tasks}
	release := make(chan struct{})
	var done atomic.Int32
	const n = 300
	for i := range n {
		p.do(workFunc(func(brief bool) bool {
			switch done.Add(1); {
			case brief:
				t.Error("asked to be brief")
			case i == n-1:
				close(release) // for which all others wait
			case i%3 == 0:
				<-release
				runtime.Goexit()
			default:
				<-release
			}
			return true
		}))
	}
	tasks.Wait()
	if got := done.Load(); got != n {
		t.Errorf("%d done, want %d", got, n)
	}
}

func TestWorkQueue(t *testing.T) {
	var q workQueue
	pushed, popped := 0, 0
	var order []int
	push := func(n int) {
		for range n {
			i := pushed
			q.push(workFunc(func(bool) bool { order = append(order, i); return true }))
			pushed++
		}
	}
	pop := func(n int) {
		for range n {
			q.pop().Do(eventloop.Unlimited)
			popped++
		}
	}
	push(10)
	for range 1000 { // never empty, and never larger
		push(3)
		pop(3)
	}
	if q.len() != 10 || cap(q.list) > 64 {
		t.Errorf("%d wait, in an array of %d", q.len(), cap(q.list))
	}
	push(2 * keepWork)
	pop(2*keepWork + 10)
	if q.pop() != nil || cap(q.list) > keepWork {
		t.Errorf("an empty queue keeps an array of %d", cap(q.list))
	}
	for i, n := range order {
		if i != n {
			t.Fatalf("%d is done as number %d", n, i)
		}
	}
	if len(order) != pushed || popped != pushed {
		t.Errorf("%d done, %d pushed", len(order), pushed)
	}
}
