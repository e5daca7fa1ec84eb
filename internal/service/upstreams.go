package service

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
)

// openUpstreams makes the directory of the servers in SIDEREAL_UPSTREAMS; nil if it lists none.
// Shared is the directory in Redis, nil without one.
func openUpstreams(set config.Upstreams, path string, shared *directory.Directory, log *slog.Logger, metrics prometheus.Registerer) (*directory.Upstreams, error) {
	if set.List == "" {
		return nil, nil
	}
	roots, err := Authorities(set.CAFile)
	if err != nil {
		return nil, err
	}
	return directory.NewUpstreams(directory.UpstreamConfig{
		List: set.List, Shared: shared, Path: path, Check: set.Check, Interval: set.Interval,
		RootCAs: roots, Log: log, Metrics: metrics,
	})
}

// Authorities reads the certificates that sign those of upstreams; nil, for the system's, if no
// file is named.
func Authorities(file string) (*x509.CertPool, error) {
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

// seenByOthers refuses upstreams at a loopback address if Redis is on another host: routers of
// other hosts would look for them on their own host. Local is the address from which this host
// reaches Redis.
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

// LookUp looks up every name of the list of upstreams and counts the addresses.
func LookUp(ctx context.Context, list string) (found int, err error) {
	for one := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" {
			continue
		}
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
		if err != nil {
			return 0, &config.ValueError{Variable: "SIDEREAL_UPSTREAMS", Value: list, Rule: "has a name that can't be looked up: " + err.Error()}
		}
		found += len(addrs)
	}
	return found, nil
}
