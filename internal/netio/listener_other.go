//go:build !linux

package netio

import "net"

// Conn is what Accepting makes of connections on Linux. Elsewhere there are none.
type Conn struct{ *net.TCPConn }

// Accepting is ln: only Linux has better.
func Accepting(ln net.Listener) net.Listener { return ln }
