package admin

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
)

// ownHost refuses requests over loopback whose Host header has a name that isn't this host's.
//
// A web page can't read from another origin, but its owner can let its own name point at 127.0.0.1
// (DNS rebinding): then the browser takes the admin port for that origin. The Host header still has
// the foreign name. An IP literal can't be rebound, and neither can localhost or the name of this
// host.
//
// On other addresses every name is accepted: balancers, Prometheus and Kubernetes reach the port
// under names that only the operator knows. Unix sockets have no names, and requests without Host
// (HTTP/1.0) don't come from browsers.
func ownHost(next http.Handler) http.Handler {
	own, _ := os.Hostname() // without it, localhost and addresses are left
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if foreign(r, own) {
			text(w, http.StatusMisdirectedRequest, fmt.Sprintf("%q isn't a name of this host: use localhost or an IP address", r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ForeignHost reports whether a request came over loopback and its Host header has a name that
// isn't this host's: see ownHost.
func ForeignHost(r *http.Request) bool {
	own, _ := os.Hostname() // without it, localhost and addresses are left
	return foreign(r, own)
}

func foreign(r *http.Request, own string) bool { return viaLoopback(r) && !isOwnHost(r.Host, own) }

// viaLoopback reports whether a request came to a loopback address. A listener on all addresses
// gets these, too.
func viaLoopback(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

// isOwnHost reports whether a Host header names this host in a way that nobody else can claim in
// the DNS.
func isOwnHost(header, own string) bool {
	if header == "" {
		return true
	}
	name := header
	if host, _, err := net.SplitHostPort(header); err == nil {
		name = host
	} else if inside, ok := strings.CutPrefix(header, "["); ok {
		name = strings.TrimSuffix(inside, "]")
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	own = strings.TrimSuffix(strings.ToLower(own), ".")
	label, _, _ := strings.Cut(own, ".")
	return name == "localhost" || name != "" && (name == own || name == label)
}
