//go:build !linux

package engine

import "net"

// newRaw returns nil: elsewhere sockets read and write through package net.
func newRaw(net.Conn) raw { return nil }
