package harness

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// StartBalancer starts a plain HTTP balancer before the addresses: round robin by request,
// WebSockets included, with no idea of sessions.
func StartBalancer(t testing.TB, addrs ...string) *httptest.Server {
	t.Helper()
	var turn atomic.Uint64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: addrs[turn.Add(1)%uint64(len(addrs))]})
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext, MaxIdleConnsPerHost: 64},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}
