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
)

// echoArgs make a message of about 128 bytes.
var echoArgs = `["echo","` + strings.Repeat("x", 110) + `"]`

type echoOpen struct {
	*swarm
	n, rate int // messages in a round, and in a second
}

func prepareEchoOpen(ctx context.Context, s *system, o options) (load, error) {
	swarm, err := open(ctx, s.entries, echoSockets, false, nil)
	if err != nil {
		return nil, err
	}
	return &echoOpen{swarm, pick(o.quick, echoRate/2, echoRate), echoRate}, nil
}

// round sends evenly in time, whatever the answers do. What falls due while this process did not
// run is sent at once.
func (e *echoOpen) round(ctx context.Context) (units, lost int, err error) {
	runtime.LockOSThread() // sleeps of 100 µs are for the kernel's clock, not for the runtime's
	defer runtime.UnlockOSThread()
	e.tally.expect(e.n)
	begin := time.Now()
	for i := 0; i < e.n; {
		due := min(int(time.Since(begin)*time.Duration(e.rate)/time.Second)+1, e.n)
		for ; i < due; i++ {
			if err := e.clients[i%len(e.clients)].ask(echoArgs); err != nil {
				return 0, 0, err
			}
		}
		pause := unix.NsecToTimespec(int64(time.Second) / int64(e.rate))
		_ = unix.Nanosleep(&pause, nil) // shorter on a signal
	}
	return e.n, e.tally.wait(ctx), nil
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
