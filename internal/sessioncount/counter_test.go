package sessioncount

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestCounter: sessions by what is seen of them, and what ends them.
func TestCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Counter
		want := func(n int, after string) {
			t.Helper()
			if got := c.Count(); got != n {
				t.Errorf("%d sessions after %s, want %d", got, after, n)
			}
		}
		want(0, "nothing")
		c.Opened("a", 10*time.Second)
		c.Opened("b", 10*time.Second)
		want(2, "two handshakes")
		c.Closed("b")
		c.Closed("b")
		want(1, "a close packet, twice")
		c.Used("b")
		c.Ended("b")
		want(1, "answers that were on their way")
		c.Opened("e", 10*time.Second)
		c.Ended("e")
		want(1, "a client that left")
		time.Sleep(6 * time.Second)
		c.Used("a")
		c.Used("d") // opened over another router
		time.Sleep(6 * time.Second)
		want(2, "answers")
		time.Sleep(6 * time.Second)
		want(0, "silence")
		if len(c.sessions) != 0 || c.closed != 0 {
			t.Errorf("it remembers %v, and %d as closed", c.sessions, c.closed)
		}

		c.Opened("a", 10*time.Second)
		ws := c.Connected("a")
		want(1, "an upgrade")
		c.Ended("a")
		time.Sleep(time.Hour)
		want(1, "an hour with a WebSocket")
		second := c.Connected("a")
		c.Disconnected(ws)
		want(1, "the first of two ends")
		c.Disconnected(second)
		want(0, "the end of the last")
		direct := c.Connected("")
		long := c.Connected(string(make([]byte, maxSID+1)))
		want(2, "WebSockets without a sid that can be kept")
		c.Disconnected(direct)
		c.Disconnected(long)
		want(0, "their ends")
	})
}

// TestCounterIsBounded: the sessions that were silent for longest make room, those with a WebSocket
// stay, and beyond the bound a WebSocket still counts.
func TestCounterIsBounded(t *testing.T) {
	c := Counter{most: 4}
	ws := c.Connected("ws")
	for i := range 1000 {
		c.Opened(strconv.Itoa(i), 0)
	}
	if n := c.Count(); n != 4 || len(c.sessions) != 4 || c.sessions["999"] == nil || c.sessions["ws"] == nil {
		t.Errorf("%d sessions, %v", n, c.sessions)
	}
	all := []string{ws}
	for i := range 9 {
		all = append(all, c.Connected("ws"+strconv.Itoa(i)))
	}
	if c.Opened("full", 0); c.Count() != 10 || len(c.sessions) != 4 {
		t.Errorf("%d sessions, %d kept; want ten WebSockets and four", c.Count(), len(c.sessions))
	}
	for _, counted := range all {
		c.Disconnected(counted)
	}
	if n := c.Count(); n != 0 || c.unnamed != 0 {
		t.Errorf("%d sessions after all ends", n)
	}
}

func TestCloses(t *testing.T) {
	for payload, want := range map[string]bool{
		"1": true, "41\x1e1": true, "1:1": true, "2:411:1": true, "[\"x\"]\x1e1": true,
		"": false, "41": false, "6": false, `42["a","1"]`: false, "21": false, "4text 1:1": false,
	} {
		if got := Closes([]byte(payload)); got != want {
			t.Errorf("Closes(%q) is %v", payload, got)
		}
	}
}

func BenchmarkUsed(b *testing.B) {
	var c Counter
	for i := range 10_000 {
		c.Opened(strconv.Itoa(i), 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Used("5000")
	}
}
