package admin

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestForeignNamesAreRefusedOnLoopback asks as a browser does whose DNS was told that a foreign
// name is 127.0.0.1.
func TestForeignNamesAreRefusedOnLoopback(t *testing.T) {
	l := listen(t)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	found := func() (any, error) { return "secret", nil }
	serve(t, Config{
		Status:   func(context.Context) Status { return Status{Role: "router"} },
		Cluster:  func(context.Context) (any, error) { return found() },
		Trace:    func(context.Context, string) (any, error) { return found() },
		Gatherer: prometheus.NewRegistry(),
	}, l)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(path, host string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	for _, path := range []string{"/", "/status", "/healthz", "/readyz", "/cluster", "/trace?sid=x", "/metrics", "/none"} {
		for _, host := range []string{"attacker.example", "attacker.example:" + port, "127.0.0.1.attacker.example", "localhost.attacker.example"} {
			if got := ask(path, host); got != http.StatusMisdirectedRequest {
				t.Errorf("%s of %s: %d", path, host, got)
			}
		}
		if got := ask(path, "localhost:"+port); got == http.StatusMisdirectedRequest {
			t.Errorf("%s of localhost: %d", path, got)
		}
	}
}

func TestOwnHost(t *testing.T) {
	for _, c := range []struct {
		header string
		own    bool
	}{
		{"", true}, {"localhost", true}, {"LOCALHOST:9480", true}, {"localhost.:1", true}, {"127.0.0.1", true}, {"127.0.0.1:9480", true},
		{"10.0.0.7:80", true}, {"[::1]", true}, {"[::1]:9480", true}, {"box.example.com", true}, {"box:9480", true}, {"Box.Example.Com:1", true},
		{"box.attacker.example", false}, {"example.com", false}, {"xlocalhost", false}, {"2130706433", false}, {".", false}, {":9480", false},
		{"[", false}, {"[localhost", true}, {"127.0.0.1.nip.example", false}, {"a b", false},
	} {
		if got := isOwnHost(c.header, "box.example.com"); got != c.own {
			t.Errorf("%q: %v", c.header, got)
		}
	}
	for _, header := range []string{".", ":1", "x"} {
		if isOwnHost(header, "") {
			t.Errorf("%q is the name of a host without one", header)
		}
	}
}

// Other hosts come under names that this one can't know: of a balancer, of a Kubernetes service.
func TestEveryNameIsAcceptedFromOtherHosts(t *testing.T) {
	h := ownHost(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	name, _ := os.Hostname()
	for _, c := range []struct {
		at   net.Addr
		host string
		want int
	}{
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 7)}, "metrics.internal.example", http.StatusOK},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, "metrics.internal.example", http.StatusMisdirectedRequest},
		{&net.TCPAddr{IP: net.IPv6loopback}, "metrics.internal.example", http.StatusMisdirectedRequest},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1).To16()}, strings.ToUpper(name), http.StatusOK},
		{&net.UnixAddr{Name: "/run/x"}, "child", http.StatusOK},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, c.at)))
		if w.Code != c.want {
			t.Errorf("%s at %s: %d, want %d", c.host, c.at, w.Code, c.want)
		}
	}
}
