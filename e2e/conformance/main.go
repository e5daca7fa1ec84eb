// Command conformance serves the apps that protocol test suites, official clients and recorded
// behaviours are run against: -app protocol (raw Engine.IO and a plain Socket.IO server), client
// (what the official client's own tests expect) or edge (everything that a reimplementation gets
// wrong). It prints "ready" when it listens.
//
// Options and events of each are fixed by those who test: see the files named after the apps. They
// use the public API alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/demo"
)

// app is what one -app serves: the first part that handles a request, else the last.
type app []part

// part is an Engine.IO or a Socket.IO server.
type part interface {
	http.Handler
	Handles(r *http.Request) bool
	Run(ctx context.Context) error
}

// timing has the protocol app's intervals. The defaults are those that the protocols' own suites
// ask for.
type timing struct {
	pingInterval, pingTimeout, connectTimeout time.Duration
}

func main() {
	name := flag.String("app", "protocol", "protocol, client or edge")
	addr := flag.String("addr", "127.0.0.1:3000", "where to listen")
	var t timing
	flag.DurationVar(&t.pingInterval, "ping-interval", 300*time.Millisecond, "of the protocol app")
	flag.DurationVar(&t.pingTimeout, "ping-timeout", 200*time.Millisecond, "of the protocol app")
	flag.DurationVar(&t.connectTimeout, "connect-timeout", time.Second, "of the protocol app")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *name, *addr, t); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, name, addr string, t timing) error {
	var a app
	var err error
	switch name {
	case "protocol":
		a, err = protocolApp(t)
	case "client":
		a, err = clientApp()
	case "edge":
		a, err = edgeApp(demo.Bundle())
	default:
		err = fmt.Errorf("no app is called %q", name)
	}
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return a.serve(ctx, l)
}

// serve serves until ctx ends.
func (a app) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: a}
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range a {
		g.Go(func() error { return p.Run(ctx) })
	}
	g.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	return g.Wait()
}

// ServeHTTP gives the request to the part it is for. The targets are compared as they came: a mux
// would clean them.
func (a app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	last := len(a) - 1
	for _, p := range a[:last] {
		if p.Handles(r) {
			p.ServeHTTP(w, r)
			return
		}
	}
	a[last].ServeHTTP(w, r)
}
