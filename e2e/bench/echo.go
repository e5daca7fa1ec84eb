//go:build linux

package main

import (
	"context"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	echoSockets = 200
	echoRate    = 10_000 // a second, over all sockets
	slowRate    = 1_000  // at which most messages wake their server
)

// echoArgs make a message of about 128 bytes.
var echoArgs = `["echo","` + strings.Repeat("x", 110) + `"]`

// openLoop is clients that send in turn, evenly in time, whatever the answers do.
type openLoop struct {
	*swarm
	n      int // messages in a round
	rate   int // a second, over all senders
	counts int // what a message brings to the tally
	units  int // and to the work
	send   func(i int) error
}

// prepareEchoOpen echoes so many messages a second.
func prepareEchoOpen(rate int) func(context.Context, *system, options) (load, error) {
	return func(ctx context.Context, s *system, o options) (load, error) {
		swarm, err := open(ctx, s.entries, echoSockets, false, nil)
		if err != nil {
			return nil, err
		}
		return echoOpen(swarm, pick(o.quick, rate/2, rate), rate), nil
	}
}

// echoOpen echoes n messages in a round, so many a second.
func echoOpen(s *swarm, n, rate int) *openLoop {
	send := func(i int) error { return s.clients[i%len(s.clients)].ask(echoArgs) }
	return &openLoop{s, n, rate, 1, 1, send}
}

// round sends what falls due while this process did not run at once.
func (l *openLoop) round(ctx context.Context) (units, lost int, err error) {
	runtime.LockOSThread() // sleeps of 100 µs are for the kernel's clock, not for the runtime's
	defer runtime.UnlockOSThread()
	l.tally.expect(l.n * l.counts)
	begin := time.Now()
	for i := 0; i < l.n; {
		due := min(int(time.Since(begin)*time.Duration(l.rate)/time.Second)+1, l.n)
		for ; i < due; i++ {
			if err := l.send(i); err != nil {
				return 0, 0, err
			}
		}
		pause := unix.NsecToTimespec(int64(time.Second) / int64(l.rate))
		_ = unix.Nanosleep(&pause, nil) // shorter on a signal
	}
	return l.n * l.units, l.tally.wait(ctx), nil
}

// closedLoop is clients that each send again when they are answered.
type closedLoop struct {
	*swarm
	each   int // messages per client and round
	counts int // what an answer brings to the tally
	send   func(*client)
}

func prepareEchoClosed(ctx context.Context, s *system, o options) (load, error) {
	return newClosedLoop(ctx, s, echoSockets, pick(o.quick, 40, 120), 1, func(c *client) { _ = c.ask(echoArgs) })
}

// newClosedLoop opens n clients. What send fails to send is missed in the tally.
func newClosedLoop(ctx context.Context, s *system, n, each, counts int, send func(*client)) (*closedLoop, error) {
	swarm, err := open(ctx, s.entries, n, false, send)
	if err != nil {
		return nil, err
	}
	return &closedLoop{swarm, each, counts, send}, nil
}

func (l *closedLoop) round(ctx context.Context) (units, lost int, err error) {
	units = l.each * len(l.clients)
	l.tally.expect(units * l.counts)
	for _, c := range l.clients {
		c.left.Store(int64(l.each - 1))
		l.send(c)
	}
	return units, l.tally.wait(ctx), nil
}

// prepareBinary echoes attachments of that size.
func prepareBinary(size, sockets, each int) func(context.Context, *system, options) (load, error) {
	const args = `["echo",{"_placeholder":true,"num":0}]`
	attachment := strings.Repeat("\x00\x01\xfe\xff", size/4)
	return func(ctx context.Context, s *system, o options) (load, error) {
		return newClosedLoop(ctx, s, sockets, pick(o.quick, each/3+1, each), 2, func(c *client) { _ = c.askBinary(args, attachment) })
	}
}
