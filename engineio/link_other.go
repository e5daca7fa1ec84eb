//go:build !linux

package engineio

import "net"

type pollers struct{}

func (s *Server) stopPolling() {}

func (s *Server) newLink(conn net.Conn) link { return &streamLink{server: s, conn: conn} }
