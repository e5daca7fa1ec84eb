package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// loadOf is a load of a server that runs setup, over pipes: in fake time.
func loadOf(t *testing.T, setup func(*socketio.Server)) Config {
	server := socketiotest.Serve(t, socketio.Config{}, func(_ context.Context, io *socketio.Server) error {
		setup(io)
		return nil
	})
	return Config{
		Client: client.Config{
			URL: "http://server", Transports: Transports["websocket"], Timeout: 10 * time.Second,
			Dial: server.HTTP.Transport.(*http.Transport).DialContext,
		},
		Namespace: "/", Clients: 1, ConnectRate: 100, Duration: 5 * time.Second, Event: "echo", Size: 10,
	}
}

func echo(io *socketio.Server) {
	io.On("echo", func(args socketio.Args) socketio.Args { return args })
}

func runOf(t *testing.T, ctx context.Context, cfg Config) *Report {
	t.Helper()
	r, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestLatencyCountsFromWhenDue: events that wait behind a slow one are slow, too.
func TestLatencyCountsFromWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var later atomic.Bool
		cfg := loadOf(t, func(io *socketio.Server) {
			io.On("echo", func(text string) string {
				if !later.Swap(true) {
					time.Sleep(5 * time.Second) // fake
				}
				return text
			})
		})
		cfg.Rate = 1
		r := runOf(t, t.Context(), cfg)
		e := r.Events
		if e.Sent != 5 || e.Acknowledged != 5 || r.Failed() {
			t.Errorf("%+v", r)
		}
		if e.LatencyMs.Max != 5000 || e.LatencyMs.P50 < 3000 || e.LatencyMs.P50 > 3030 { // 5 s, 4 s, 3 s, 2 s, 1 s
			t.Errorf("latency %v", e.LatencyMs)
		}
		if e.BytesSent != 5*12 || e.BytesReceived != 5*12 {
			t.Errorf("%d bytes sent, %d received", e.BytesSent, e.BytesReceived)
		}
	})
}

func TestTransports(t *testing.T) {
	for name, transports := range Transports {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it fails when a goroutine is left
				cfg := loadOf(t, echo)
				cfg.Client.Transports, cfg.Clients, cfg.Rate, cfg.Binary = transports, 4, 10, true
				r := runOf(t, t.Context(), cfg)
				if r.Events.Acknowledged != 50 || r.Failed() || r.Events.BytesReceived != r.Events.BytesSent {
					t.Errorf("%+v", r)
				}
				if c := r.Clients; c.Connected != 4 || c.Upgraded != map[string]int64{"upgrade": 4}[name] {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

func TestClosedLoopWaitsForAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := loadOf(t, func(io *socketio.Server) {
			io.On("echo", func(text string) string {
				time.Sleep(time.Second) // fake
				return text
			})
		})
		cfg.Clients, cfg.Duration = 3, 4500*time.Millisecond
		var progress bytes.Buffer
		cfg.Progress = &progress
		r := runOf(t, t.Context(), cfg)
		if e := r.Events; e.Sent != 15 || e.Acknowledged != 15 || e.LatencyMs.Max != 1000 || e.PerSecond != 2.7 || r.Failed() {
			t.Errorf("%+v", r)
		}
		if c := r.Clients; c.Connected != 3 || c.Seconds != 0.02 {
			t.Errorf("%+v", c)
		}
		if !strings.Contains(progress.String(), "   3s  3 connected, 0 failed, 0 lost; 3 events/s acknowledged, p99 1s\n") {
			t.Errorf("%s", progress.String())
		}
	})
}

func TestUnansweredEventsFail(t *testing.T) {
	for name, rate := range map[string]float64{"closed": 0, "open": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := loadOf(t, func(*socketio.Server) {})
				cfg.Clients, cfg.Rate = 10, rate
				r := runOf(t, t.Context(), cfg)
				if e := r.Events; e.Sent != 10 || e.Acknowledged != 0 || e.Failed != 10 || len(e.FailedBy) != 1 || e.LatencyMs.Max != 0 {
					t.Errorf("%+v", e)
				}
				if c := r.Clients; c.Lost != 0 || !r.Failed() {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// TestEventsUnderWayAreBounded: what waits for its turn too long was never sent, and is told.
func TestEventsUnderWayAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := loadOf(t, func(*socketio.Server) {})
		cfg.Rate, cfg.Duration, cfg.Size = maxOfEach+1000, time.Second, 0
		r := runOf(t, t.Context(), cfg)
		if e := r.Events; e.Sent != maxOfEach || e.Failed != maxOfEach+1000 || len(e.FailedBy) != 2 || e.Seconds != 11 {
			t.Errorf("%+v", e)
		}
	})
}

func TestLostClientsAreToldByReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		cfg := loadOf(t, func(io *socketio.Server) {
			io.On("echo", func(s *socketio.Socket, text string) string {
				if n.Add(1) == 2 {
					s.Disconnect(true)
				}
				return text
			})
		})
		cfg.Clients, cfg.Rate = 2, 1
		r := runOf(t, t.Context(), cfg)
		if c := r.Clients; c.Lost != 1 || c.LostBy["io server disconnect"] != 1 {
			t.Errorf("%+v", c)
		}
		if e := r.Events; e.Sent != 5 || e.Acknowledged+e.Failed != 5 || e.Acknowledged < 4 || !r.Failed() {
			t.Errorf("%+v", e)
		}
	})
}

func TestLoadEndsWhenNoClientIsLeft(t *testing.T) {
	for name, rate := range map[string]float64{"closed": 0, "open": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := loadOf(t, func(io *socketio.Server) { io.On("echo", func(s *socketio.Socket) { s.Disconnect(true) }) })
				cfg.Clients, cfg.Rate, cfg.Duration = 2, rate, time.Hour
				start := time.Now()
				r := runOf(t, t.Context(), cfg)
				if e := r.Events; e.Acknowledged != 0 || rate > 0 && e.Failed != 3600 || rate == 0 && e.Failed != 2 {
					t.Errorf("%+v", e)
				}
				if took := time.Since(start); r.Clients.Lost != 2 || took > 10*time.Second {
					t.Errorf("%+v after %v", r.Clients, took)
				}
			})
		})
	}
}

func TestInterruptedLoadIsReported(t *testing.T) {
	for name, rate := range map[string]float64{"closed": 0, "open": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := loadOf(t, echo)
				cfg.Rate, cfg.Duration = rate, time.Hour
				if rate == 0 {
					cfg.Event = "" // nothing happens in a closed loop without a delay but events
				}
				ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
				defer cancel()
				r := runOf(t, ctx, cfg)
				if r.Failed() || r.Clients.Connected != 1 || r.Events.Seconds != 3.5 || rate > 0 && r.Events.Acknowledged != 4 {
					t.Errorf("%+v", r)
				}
			})
		})
	}
}

func TestInterruptedWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := loadOf(t, echo)
		cfg.Clients, cfg.ConnectRate = 100, 1
		ctx, cancel := context.WithTimeout(t.Context(), 9500*time.Millisecond)
		defer cancel()
		r := runOf(t, ctx, cfg)
		if c := r.Clients; c.Connected != 10 || c.Failed != 0 || c.Asked != 100 || c.Seconds != 9.5 {
			t.Errorf("%+v", c)
		}
	})
}

func TestKinds(t *testing.T) {
	r := &run{Config: Config{Client: client.Config{Timeout: time.Second}}}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&client.ConnectError{Namespace: "/a", Message: "not you"}, "refused in /a: not you"},
		{&client.RefusedError{Status: 503, Code: -1}, "server answered 503 Service Unavailable"},
		{errors.Join(client.ErrGaveUp, syscall.ECONNREFUSED), "connection refused"},
		{fmt.Errorf("client: %w", io.EOF), "closed by the server"},
		{syscall.EMFILE, "raise ulimit -n"},
		{syscall.EADDRNOTAVAIL, "no local port is left"},
		{errors.Join(context.DeadlineExceeded, errors.New("dial")), "no connection within 1s"},
		{client.ErrQueueFull, "send queue full"},
	} {
		if got := r.kind(c.err); !strings.Contains(got, c.want) {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
