//go:build !linux

package engine

import "net"

// raw is what linux has for reading without a buffer and writing without waiting. Elsewhere sockets do without.
type raw struct{}

func newRaw(net.Conn) *raw { return nil }

func (r *raw) read() (*[]byte, int, error)  { panic("engine: no raw connections on this system") }
func (r *raw) writeNow([]byte) (int, error) { panic("engine: no raw connections on this system") }
