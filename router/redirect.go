package router

import (
	"bytes"
	"net"
	"net/http"
	"strconv"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// Redirecting marks a listener of plain HTTP whose requests [Router.Serve] answers with where the same is over HTTPS: under
// the names of Config.Certificates, and no others.
func Redirecting(ln net.Listener) net.Listener { return redirecting{ln} }

type redirecting struct{ net.Listener }

var errForeign = &http1.Refusal{Status: 400, Why: "not a name of this server"}

// redirect sends a request on to HTTPS. Only to names that a certificate of ours has: whatever else stands in Host would
// make us send clients, and caches, to where somebody else wants them.
func (x *exchange) redirect(b []byte) bool {
	host, path := x.authority(b)
	if len(path) == 0 || path[0] != '/' || !x.c.r.cfg.Certificates.cover(string(host)) {
		return x.refuse(errForeign.Status, errForeign.Why)
	}
	to := append([]byte("Location: https://"), host...)
	if port := x.c.r.cfg.RedirectPort; port != 443 {
		to = strconv.AppendInt(append(to, ':'), int64(port), 10)
	}
	to = append(append(to, path...), "\r\n"...)
	return x.refuseWith(http.StatusPermanentRedirect, "HTTPS is spoken here", string(to))
}

// authority returns the host that a request is for, without its port, and the path with the query.
func (x *exchange) authority(b []byte) (host, path []byte) {
	host, path = x.head.Host(b), x.head.Target.Of(b)
	if x.head.Authority.To > 0 && (len(path) == 0 || path[0] == '?') {
		path = append([]byte("/"), path...)
	}
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && i > bytes.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return host, path
}
