//go:build !linux

package engineio

import "net"

// pollers holds the poller in which a server on Linux parks its sockets.
type pollers struct{}

// stopPolling ends the poller. No socket may be added afterwards.
func (s *Server) stopPolling() {}

// newLink returns the link for conn. If conn has SyscallConn, the poller reads and writes its
// descriptor, past its Read and Write. Other connections, above all TLS, are streams.
func (s *Server) newLink(conn net.Conn) link { return s.newStreamLink(conn) }
