package supervisor

import (
	"sync"
	"time"
)

// loop is the goroutine that owns a supervisor's state, as the other goroutines see it: they hand
// it functions, which it calls one at a time.
type loop struct {
	events    chan func()
	over      chan struct{}  // closed when the loop has ended
	followers sync.WaitGroup // the goroutines that follow processes or call OnExit, OnListen, OnMessage and OnSilent

	// The loop's own.
	timers map[*time.Timer]bool
	told   chan struct{} // closed when the last call of tell has returned; nil: there was none
	quiet  bool          // the function that ran last changed no status
}

func newLoop() *loop {
	return &loop{events: make(chan func()), over: make(chan struct{}), timers: map[*time.Timer]bool{}}
}

// post has the loop call f. It returns false if the loop has ended.
func (l *loop) post(f func()) bool {
	select {
	case l.events <- f:
		return true
	case <-l.over:
		return false
	}
}

// ask has the loop call f and returns f's error once Status shows the effect.
func (l *loop) ask(f func() error) error {
	result := make(chan error, 1)
	if !l.post(func() { result <- f() }) {
		return ErrStopping
	}
	l.post(func() { l.quiet = true }) // the loop takes this after it has published
	return <-result
}

// later has the loop call f after d.
func (l *loop) later(d time.Duration, f func()) *time.Timer {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		l.post(func() {
			if l.timers[t] {
				delete(l.timers, t)
				f()
			}
		})
	})
	l.timers[t] = true
	return t
}

// cancel takes back a call that later arranged. A nil timer is nothing.
func (l *loop) cancel(t *time.Timer) {
	if t != nil {
		t.Stop()
		delete(l.timers, t)
	}
}

// tell calls f in a goroutine, after the calls of earlier tells have returned.
func (l *loop) tell(f func()) {
	before, done := l.told, make(chan struct{})
	l.told = done
	l.followers.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		f()
	})
}

// end ends the loop: nothing is called any more.
func (l *loop) end() {
	close(l.over)
	for t := range l.timers {
		t.Stop()
	}
}
