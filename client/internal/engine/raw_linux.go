package engine

import (
	"net"

	"github.com/sidereal-io/sidereal/internal/netio"
)

// newRaw returns nil for a connection that is more than its descriptor, as TLS is, or that may be:
// a type of the app's own.
func newRaw(conn net.Conn) raw {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		if r := new(netio.Raw); r.Open(conn) {
			return r
		}
	}
	return nil
}
