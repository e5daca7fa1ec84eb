package lifeline

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// joined makes a line with both ends in this process.
func joined(t *testing.T) (*End, *Line) {
	t.Helper()
	end, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	conn, err := unixConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end.Close() })
	return end, &Line{conn: conn, said: make(chan struct{})}
}

func TestWhatIsToldArrivesInOrderWithItsDescriptors(t *testing.T) {
	end, line := joined(t)
	const rounds = 50
	for i := range rounds {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := end.TellJSON(Channel, ChannelTold{ID: strconv.Itoa(i), Name: strings.Repeat("x", 50*i)}, r); err != nil {
			t.Fatal(err)
		}
		if err := end.Tell(Exited, strconv.Itoa(i), nil); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, strconv.Itoa(i))
		w.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	heard := 0
	err := line.Follow(ctx, func(got Told) {
		i := heard / 2
		if heard++; heard == 2*rounds {
			defer cancel()
		}
		if heard%2 == 0 {
			if got.Key != Exited || got.Value != strconv.Itoa(i) || got.File != nil {
				t.Errorf("line %d: %+v", heard, got)
			}
			return
		}
		var c ChannelTold
		if err := got.Decode(&c); err != nil || c.ID != strconv.Itoa(i) || len(c.Name) != 50*i || got.File == nil {
			t.Fatalf("line %d: %.80v, %v", heard, got, err)
		}
		defer got.File.Close()
		if b, err := io.ReadAll(got.File); err != nil || string(b) != strconv.Itoa(i) {
			t.Errorf("descriptor %d leads to %q, %v", i, b, err)
		}
	})
	if err != nil || heard != 2*rounds {
		t.Errorf("%d lines, %v", heard, err)
	}
}

func TestChildThatDoesNotReadIsNoticedAndBlocksNobody(t *testing.T) {
	end, line := joined(t)
	defer line.conn.Close()
	long := strings.Repeat("x", 4096)
	for range 2 * maxUnread {
		if err := end.Tell(Send, long, nil); err != nil {
			if !errors.Is(err, ErrUnread) {
				t.Error(err)
			}
			return
		}
	}
	t.Error("nobody noticed")
}

func TestTellAfterTheEndGivesTheDescriptorBack(t *testing.T) {
	end, line := joined(t)
	line.conn.Close()
	end.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := end.Tell(Channel, "{}", r); err == nil {
		t.Error("taken")
	}
	if _, err := r.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the descriptor is still open: %v", err)
	}
}

func TestBeatsBeginWithTheFirstReport(t *testing.T) {
	end, line := joined(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- line.Run(ctx) }()
	if err := line.Report(Ready, "1"); err != nil {
		t.Fatal(err)
	}
	end.SetReadDeadline(time.Now().Add(20 * time.Second))
	var keys []string
	end.Reports(func(key, _ string) {
		if keys = append(keys, key); len(keys) == 2 {
			cancel()
		}
	})
	if err := <-ended; err != nil || len(keys) < 2 || keys[0] != Ready || keys[1] != Alive {
		t.Errorf("%v, %v", keys, err)
	}
}
