//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func TestFramesAreThoseOfTheProtocol(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 200_000} {
		payload := strings.Repeat("ab", size/2) + strings.Repeat("c", size%2)
		got, op, err := wsutil.ReadClientData(bytes.NewBuffer(appendFrame(nil, opText, clientMask, payload)))
		if err != nil || op != ws.OpText || string(got) != payload {
			t.Errorf("a client's frame of %d bytes was read as %v of %d bytes, %v", size, op, len(got), err)
		}
		r := bufio.NewReaderSize(bytes.NewReader(ws.MustCompileFrame(ws.NewBinaryFrame([]byte(payload)))), 2048)
		kind, got, _, err := readFrame(r, nil)
		if err != nil || kind != opBinary || string(got) != payload {
			t.Errorf("a server's frame of %d bytes was read as %d of %d bytes, %v", size, kind, len(got), err)
		}
	}
}

func TestTallyCountsWhatIsLost(t *testing.T) {
	var tl tally
	tl.expect(3)
	tl.count(3)
	if lost := tl.wait(t.Context()); lost != 0 {
		t.Errorf("all came, %d lost", lost)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tl.expect(5)
	tl.count(3)
	if lost := tl.wait(ctx); lost != 2 {
		t.Errorf("3 of 5 came, %d lost", lost)
	}
	tl.expect(1)
	tl.count(1)
	tl.wrong.Add(1)
	if lost := tl.wait(t.Context()); lost != 1 {
		t.Errorf("1 of 1 came, with a wrong one, %d lost", lost)
	}
}

func TestRatiosAreTakenWithinRounds(t *testing.T) {
	r := newResult("x", "x", "x", cpuTime)
	for _, v := range []float64{1, 2, 30} { // the machine was busy in the last round
		r.add(ours, sample{value: v})
		r.add(node, sample{value: 2 * v})
	}
	if got, ok := ratio(node, "", ours, "")(r); !ok || got != 2 {
		t.Errorf("got %v, %v", got, ok)
	}
	if median, low, high := spread([]float64{4, 1, 2, 3}); median != 2.5 || low != 1 || high != 4 {
		t.Errorf("spread is %v, %v, %v", median, low, high)
	}
}

func TestUsageIsReadOfRealProcesses(t *testing.T) {
	pids, err := tree([]int{os.Getpid()})
	if err != nil || len(pids) == 0 {
		t.Fatalf("%v, %v", pids, err)
	}
	own := map[int]string{os.Getpid(): "self"}
	used, err := cpu(own)
	if err != nil || used.sum() <= 0 {
		t.Errorf("CPU %v, %v", used, err)
	}
	size, err := pss(own)
	if err != nil || size["self"] < 1<<20 {
		t.Errorf("PSS %v, %v", size, err)
	}
}

func TestEveryTargetHasItsItem(t *testing.T) {
	names := map[string]bool{idleItem + "-collected": true, "upgrade-time": true}
	for _, it := range items {
		names[it.name] = true
	}
	for _, target := range targets {
		if !names[target.item] {
			t.Errorf("target %q is answered by no item", target.what)
		}
	}
}
