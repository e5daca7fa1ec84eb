package main

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
)

// openUpstreams makes the directory of the backends that are listed by hand; nil: none is. Shared is where sids are in Redis,
// nil without one.
func openUpstreams(set config.Upstreams, path string, shared *directory.Directory, log zerolog.Logger, metrics prometheus.Registerer) (*directory.Upstreams, error) {
	if set.List == "" {
		return nil, nil
	}
	roots, err := authorities(set.CAFile)
	if err != nil {
		return nil, err
	}
	return directory.NewUpstreams(directory.UpstreamConfig{
		List: set.List, Shared: shared, Path: path, Check: set.Check, Interval: set.Interval,
		RootCAs: roots, Log: log, Metrics: metrics,
	})
}

// authorities reads a PEM file; nil, for the system's, where none is named.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	wrong := &config.ValueError{Variable: "SIDEREAL_UPSTREAM_CA_FILE", Value: file}
	pem, err := os.ReadFile(file)
	if err != nil {
		wrong.Rule = "must be a file that can be read: " + err.Error()
		return nil, wrong
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		wrong.Rule = "must have certificates in PEM"
		return nil, wrong
	}
	return roots, nil
}

// seenByOthers refuses backends on this host's loopback where routers of other hosts would look for them on theirs. Local is
// the address from which this host reaches Redis.
func seenByOthers(list string, local netip.Addr) error {
	if local.IsLoopback() {
		return nil
	}
	for one := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil {
			continue // refused before
		}
		ip := net.ParseIP(u.Hostname())
		if ip != nil && ip.IsLoopback() || strings.EqualFold(u.Hostname(), "localhost") {
			return &config.ValueError{Variable: "SIDEREAL_UPSTREAMS", Value: list,
				Rule: "must not have loopback addresses, since Redis is on another host: other routers find other servers there"}
		}
	}
	return nil
}

// lookUp finds out whether every name of the list stands for something.
func lookUp(ctx context.Context, list string) (found int, err error) {
	for one := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" {
			continue
		}
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
		if err != nil {
			return 0, &config.ValueError{Variable: "SIDEREAL_UPSTREAMS", Value: list, Rule: "has a name that cannot be looked up: " + err.Error()}
		}
		found += len(addrs)
	}
	return found, nil
}
