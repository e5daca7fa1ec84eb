package main

import (
	"context"

	"golang.org/x/time/rate"

	"github.com/sidereal-io/sidereal/socketio"
)

// limits are the bounds that the desk sets other than the defaults.
func limits() socketio.Config {
	return socketio.Config{
		MaxHTTPBufferSize:  6 << 20, // an upload of 4 MB in base64, for clients on polling
		MaxQueueBytes:      1 << 20, // a client that is slower than this is closed
		MaxEventsPerSecond: 50,      // nobody types that fast
	}
}

// limiter bounds the events of a socket. It can't travel to another host, so it is a Local.
var limiter = socketio.NewLocal[*rate.Limiter]()

// limitEvents allows 5 events a second, after 10 at once. Others are answered with an error.
func limitEvents(n *socketio.Namespace) {
	n.OnConnect(func(s *socketio.Socket) { limiter.Set(s, rate.NewLimiter(5, 10)) })
	n.UseEvents(func(_ context.Context, s *socketio.Socket, _ string, _ socketio.Args) error {
		if l, ok := limiter.Get(s); !ok || !l.Allow() {
			return socketio.NewError("slow down")
		}
		return nil
	})
}
