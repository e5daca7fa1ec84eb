package redisconn

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Reach returns nil once Redis has answered. It tries again as long as waiting may help. Otherwise
// it returns ctx's error, ErrAuth or ErrRights.
func (c *Conn) Reach(ctx context.Context) error {
	for wait := probeDownFirst; ; wait = min(2*wait, probeDownMost) {
		err := c.Check(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, ErrUnreachable) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// LocalIP returns the address of this host on the way to Redis. Hosts that share this Redis may
// reach it there. Nothing is sent.
func (c *Conn) LocalIP(ctx context.Context) (netip.Addr, error) {
	var d net.Dialer
	probe, err := d.DialContext(ctx, "udp", c.target.addrs[0])
	if err != nil {
		return netip.Addr{}, err
	}
	defer probe.Close()
	return probe.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
