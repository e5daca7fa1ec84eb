package config

import (
	"net"
	"net/netip"
	"strings"
)

// Advertised is how other hosts reach a door that listens on the address listen, from a host that reaches Redis from the
// address local. An address that only this host can reach is refused where Redis is on another one, since others then
// share it.
func (d Door) Advertised(listen string, local netip.Addr) (string, error) {
	if d.Advertise != "" {
		if !local.IsLoopback() && isLoopback(d.Advertise) {
			return "", &ValueError{Variable: "SIDEREAL_ADVERTISE", Value: d.Advertise,
				Rule: "must not be a loopback address, since Redis is on another host"}
		}
		return d.Advertise, nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
		if !local.IsLoopback() && isLoopback(listen) {
			return "", &ValueError{Variable: "SIDEREAL_ADDR", Value: listen,
				Rule: "must not be a loopback address, since Redis is on another host; or set SIDEREAL_ADVERTISE"}
		}
		return listen, nil
	}
	return net.JoinHostPort(local.String(), port), nil
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}
