//go:build !linux

package handoff

import "net"

const defaultNetwork = "unix"

// sameUser relies on the runtime directory's mode (0700) here.
func sameUser(*net.UnixConn) error { return nil }

func (l *Listener) servePackets(c *net.UnixConn) { c.Close() }

func newPacketLink(*net.UnixConn, string) (link, error) { return nil, ErrUnsupported }
