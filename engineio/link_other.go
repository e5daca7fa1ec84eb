//go:build !linux

package engineio

import "net"

func (s *Server) newLink(conn net.Conn) link { return &streamLink{server: s, conn: conn} }
