package config

import (
	"net"
	"net/netip"
	"strings"
)

// Advertised returns the address at which other hosts reach a port that listens on listen, from a
// host that reaches Redis from local. It refuses a loopback address if Redis is on another host,
// since other hosts share that Redis and can't reach the address.
func (d Door) Advertised(listen string, local netip.Addr) (string, error) {
	addr, unreachable, err := Advertised(d.Advertise, listen, local)
	switch {
	case !unreachable:
		return addr, err
	case d.Advertise != "":
		return "", &ValueError{Variable: "SIDEREAL_ADVERTISE", Value: addr,
			Rule: "must not be a loopback address, since Redis is on another host"}
	}
	return "", &ValueError{Variable: "SIDEREAL_ADDR", Value: addr,
		Rule: "must not be a loopback address, since Redis is on another host; or set SIDEREAL_ADVERTISE"}
}

// Advertised returns advertise, or if that is empty the address at which other hosts reach a port
// that listens on listen. Unreachable reports that they can't: the address is a loopback address,
// and local, from which this host reaches Redis, is not.
func Advertised(advertise, listen string, local netip.Addr) (addr string, unreachable bool, err error) {
	addr = advertise
	if addr == "" {
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			return "", false, err
		}
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			return net.JoinHostPort(local.String(), port), false, nil
		}
		addr = listen
	}
	return addr, !local.IsLoopback() && isLoopback(addr), nil
}

func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}
