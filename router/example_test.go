package router_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/router"
)

// A Go program that has the router beside its own pages. Its upstreams are Socket.IO servers on
// ports; with a directory.Directory they would be the workers that registered in Redis.
func Example() {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "the upstream answers", r.URL.Path)
	}))
	defer upstream.Close()
	upstreams, err := directory.NewUpstreams(directory.UpstreamConfig{List: upstream.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := router.New(router.Config{Directory: upstreams})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { upstreams.Run(ctx) })
	running.Go(func() { r.Serve(ctx) }) // with listeners of its own, if any
	defer running.Wait()
	defer stop()
	for changed := upstreams.Changed(); ; changed = upstreams.Changed() {
		if ready, _ := r.Ready(); ready {
			break
		}
		<-changed
	}

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", r)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "a page of our own") })
	server := httptest.NewUnstartedServer(mux)
	server.Listener = r.Listener(server.Listener) // WebSockets don't even reach net/http
	server.Start()
	defer server.Close()

	for _, path := range []string{"/", "/socket.io/?EIO=4&transport=polling"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Print(string(body))
	}
	// Output:
	// a page of our own
	// the upstream answers /socket.io/
}
