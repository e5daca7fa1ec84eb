package router

import (
	"net"
	"net/http"
	"strconv"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// Redirecting marks a listener of plain HTTP whose requests [Router.Serve] answers with where the
// same is over HTTPS: under the names of Config.Certificates, and no others.
func Redirecting(ln net.Listener) net.Listener { return redirecting{ln} }

type redirecting struct{ net.Listener }

var (
	errForeign   = &http1.Refusal{Status: http.StatusBadRequest, Why: "not a name of this server"}
	movedToHTTPS = &http1.Refusal{Status: http.StatusPermanentRedirect, Why: "HTTPS is spoken here"}
)

// redirect sends a request on to HTTPS. Only to names that a certificate of ours has: whatever else
// stands in Host would make us send clients, and caches, to where somebody else wants them.
func (x *exchange) redirect(b []byte) bool {
	host, path := x.req.authority(b)
	if len(path) == 0 || path[0] != '/' || !x.c.r.cfg.Certificates.cover(string(host)) {
		return x.refuse(errForeign)
	}
	to := append([]byte("Location: https://"), host...)
	if port := x.c.r.cfg.RedirectPort; port != 443 {
		to = strconv.AppendInt(append(to, ':'), int64(port), 10)
	}
	to = append(append(to, path...), "\r\n"...)
	return x.refuseWith(movedToHTTPS, string(to))
}
