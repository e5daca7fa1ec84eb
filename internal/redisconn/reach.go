package redisconn

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Reach returns nil once Redis has answered an attempt, waiting for it as long as that may help. Other errors are ctx's,
// or those that only an operator can mend: ErrAuth, ErrRights.
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

// LocalIP is the address of this host from which it reaches Redis, and thereby one under which hosts that share this
// Redis may know it. Nothing is sent to find out.
func (c *Conn) LocalIP(ctx context.Context) (netip.Addr, error) {
	var d net.Dialer
	probe, err := d.DialContext(ctx, "udp", c.target.addrs[0])
	if err != nil {
		return netip.Addr{}, err
	}
	defer probe.Close()
	return probe.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
