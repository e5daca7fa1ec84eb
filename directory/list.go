package directory

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// listing is one entry of a list of upstreams: an address, or a name that stands for several.
type listing struct {
	scheme string
	host   string // a name or an address, without brackets
	port   uint16
}

func (l listing) String() string {
	return l.scheme + "://" + net.JoinHostPort(l.host, strconv.Itoa(int(l.port)))
}

// literal returns the entry's address. It isn't valid if the entry is a name.
func (l listing) literal() netip.Addr {
	a, err := netip.ParseAddr(l.host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// id names the upstream at one of the entry's addresses. All routers use the same id, so that they
// understand each other's sids.
func (l listing) id(a netip.Addr) string { return l.scheme + "://" + l.addr(a) }

func (l listing) addr(a netip.Addr) string { return netip.AddrPortFrom(a.Unmap(), l.port).String() }

// CheckUpstreams reports what is wrong with a list of upstreams, and names the entry.
// [UpstreamConfig] describes the list.
func CheckUpstreams(list string) error {
	_, err := parseUpstreams(list)
	return err
}

func parseUpstreams(list string) (all []listing, err error) {
	seen := make(map[string]bool)
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		l, err := parseListing(one)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", one, err)
		}
		if seen[l.String()] {
			return nil, fmt.Errorf("%q is listed twice", one)
		}
		seen[l.String()] = true
		all = append(all, l)
	}
	if len(all) == 0 {
		return nil, errors.New("lists no upstream")
	}
	return all, nil
}

var errScheme = errors.New("must begin with http:// or https://")

func parseListing(text string) (l listing, err error) {
	if !strings.Contains(text, "://") {
		return l, errScheme
	}
	u, err := url.Parse(text)
	if err != nil {
		var why *url.Error
		if errors.As(err, &why) {
			err = why.Err
		}
		return l, err
	}
	l = listing{scheme: u.Scheme, host: strings.ToLower(u.Hostname())}
	port := u.Port()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return l, errScheme
	case l.host == "":
		return l, errors.New("has no host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return l, errors.New("must be a scheme, a host and a port, nothing more")
	case strings.Contains(l.host, "%"):
		return l, errors.New("must not have a zone")
	case port == "" && u.Scheme == "http":
		port = "80"
	case port == "":
		port = "443"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return l, errors.New("the port must be 1 to 65535")
	}
	l.port = uint16(n)
	if a := l.literal(); a.IsValid() {
		if a.IsUnspecified() || a.IsMulticast() {
			return l, errors.New("isn't the address of a server")
		}
		l.host = a.String()
	}
	return l, nil
}
