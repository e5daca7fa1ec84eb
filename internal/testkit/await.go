package testkit

import (
	"testing"
	"time"
)

// patience bounds every wait of a test: it is how long a broken test takes to fail, and says
// nothing about speed.
const patience = 2 * time.Minute

// Await returns when cond is true. It asks again whenever the channel that changed returned before
// is closed, so it needs no polling; changed is taken before cond is asked. What names the
// condition in the failure.
func Await(t testing.TB, what string, changed func() <-chan struct{}, cond func() bool) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		next := changed()
		if cond() {
			return
		}
		select {
		case <-next:
		case <-end.C:
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// Receive returns the next value of ch. It fails the test if none comes or ch is closed.
func Receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	select {
	case v, ok := <-ch:
		if !ok {
			t.Fatalf("closed instead of: %s", what)
		}
		return v
	case <-end.C:
		t.Fatalf("waited %v in vain: %s", patience, what)
	}
	panic("not reached")
}

// Closed returns when ch is closed, or fails the test.
func Closed(t testing.TB, what string, ch <-chan struct{}) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	select {
	case <-ch:
	case <-end.C:
		t.Fatalf("waited %v in vain: %s", patience, what)
	}
}

// Until polls for something that announces itself in no other way, in another process as a rule. It
// bounds the test and asserts nothing about time.
func Until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	UntilFor(t, patience, what, cond)
}

// UntilFor is Until with a bound of its own, for what takes long by its nature.
func UntilFor(t testing.TB, bound time.Duration, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(bound); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", bound, what)
		}
	}
}
