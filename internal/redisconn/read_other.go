//go:build !linux || race

package redisconn

import "net"

// reader is how a connection is read. The race detector learns from reads and writes of connections what happens before what;
// of raw system calls it knows nothing.
func reader(conn net.Conn) func([]byte) (int, error) { return conn.Read }
