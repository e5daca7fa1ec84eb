package testkit

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Serve runs a server that is a handler too, as a socketio.Server is, on a loopback port until the
// test ends. The port is closed last: the server's end closes its connections.
func Serve(t testing.TB, server interface {
	http.Handler
	Run(context.Context) error
}) *httptest.Server {
	t.Helper()
	h := httptest.NewServer(server)
	t.Cleanup(h.Close)
	Run(t, server.Run)
	return h
}
