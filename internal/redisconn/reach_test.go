package redisconn

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/sidereal-io/sidereal/internal/redisserver"
)

func TestReachWaitsAsLongAsItMayHelp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close() // nobody is there at first
	reached := make(chan error, 1)
	conn := open(t, Config{URL: "redis://:right@" + addr})
	go func() { reached <- conn.Reach(ctx) }()
	e, err := redisserver.Serve(ctx, addr, "right")
	if err != nil {
		t.Fatal(err)
	}
	if err := <-reached; err != nil {
		t.Errorf("reached with %v", err)
	}
	if err := open(t, Config{URL: "redis://:wrong@" + addr}).Reach(ctx); !errors.Is(err, ErrAuth) {
		t.Errorf("a wrong password gives %v", err)
	}
	cancel()
	e.Wait()
	if err := conn.Reach(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context's end: %v", err)
	}
}

func TestLocalIP(t *testing.T) {
	ip, err := open(t, Config{URL: "redis://127.0.0.1:1"}).LocalIP(t.Context())
	if err != nil || !ip.IsLoopback() {
		t.Errorf("%v, %v", ip, err)
	}
}
