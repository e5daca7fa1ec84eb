package redisconn

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// form is the kind of Redis that a URL's scheme names.
type form string

const (
	single   form = "redis"
	sentinel form = "sentinel"
	cluster  form = "cluster"
)

// target is a parsed URL.
type target struct {
	form               form
	tls                bool
	addrs              []string // host:port
	username, password string
	master             string // sentinel only
	db                 int
	sentinelUsername   string
	sentinelPassword   string
}

// parseURL reads a Redis URL. net/url can't: it allows a single host, and its errors quote the
// password. Errors name the broken rule and quote nothing, because any part of a badly encoded URL
// may be part of the password.
func parseURL(raw string) (target, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return target{}, errors.New("must look like redis://host:6379")
	}
	t, err := parseScheme(scheme)
	if err != nil {
		return target{}, err
	}
	rest, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, pass, _ := strings.Cut(rest[:at], ":")
		rest = rest[at+1:]
		if t.username, err = url.PathUnescape(user); err != nil {
			return target{}, errors.New("special characters in the user name must be percent-encoded")
		}
		if t.password, err = url.PathUnescape(pass); err != nil {
			return target{}, errors.New("special characters in the password must be percent-encoded")
		}
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if err := t.parseHosts(hosts); err != nil {
		return target{}, err
	}
	if err := t.parsePath(path); err != nil {
		return target{}, err
	}
	return t, t.parseQuery(query)
}

func parseScheme(scheme string) (target, error) {
	base, kind, plus := strings.Cut(strings.ToLower(scheme), "+")
	if !plus {
		kind = string(single)
	}
	t := target{form: form(kind), tls: base == "rediss"}
	known := []form{single, sentinel, cluster}
	if (base != "redis" && base != "rediss") || !slices.Contains(known, t.form) || plus && t.form == single {
		return target{}, errors.New("scheme must be redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster or rediss+cluster")
	}
	return t, nil
}

func (t *target) parseHosts(hosts string) error {
	port := "6379"
	if t.form == sentinel {
		port = "26379"
	}
	for h := range strings.SplitSeq(hosts, ",") {
		addr, err := hostPort(h, port)
		if err != nil {
			return err
		}
		t.addrs = append(t.addrs, addr)
	}
	if t.form == single && len(t.addrs) > 1 {
		return errors.New("several hosts need redis+sentinel:// or redis+cluster://")
	}
	return nil
}

// hostPort completes host, host:port, [v6] or [v6]:port with the default port.
func hostPort(s, port string) (string, error) {
	host := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		host = s[1 : len(s)-1]
	} else if strings.Contains(s, ":") {
		var err error
		if host, port, err = net.SplitHostPort(s); err != nil {
			return "", errors.New("hosts must be host or host:port, IPv6 addresses in brackets")
		}
	}
	if host == "" || strings.ContainsAny(host, " \t\"'#") {
		return "", errors.New("the host name is missing or has invalid characters")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", errors.New("the port must be a number from 1 to 65535")
	}
	return net.JoinHostPort(host, port), nil
}

// parsePath reads /db, or /master[/db] with sentinels. A cluster has database 0 only.
func (t *target) parsePath(path string) error {
	if t.form == sentinel {
		t.master, path, _ = strings.Cut(path, "/")
		if t.master == "" {
			return errors.New("with sentinels the path must name the master, as in redis+sentinel://host:26379/mymaster")
		}
	}
	if path == "" {
		return nil
	}
	db, err := strconv.Atoi(path)
	if err != nil || db < 0 {
		return errors.New("the database must be a number, as in redis://host:6379/0")
	}
	if t.form == cluster && db != 0 {
		return errors.New("a cluster has only database 0")
	}
	t.db = db
	return nil
}

func (t *target) parseQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("text after ? must be percent-encoded name=value pairs")
	}
	for name := range values {
		if t.form != sentinel || name != "sentinel_username" && name != "sentinel_password" {
			return errors.New("the only parameters after ? are sentinel_username and sentinel_password, with sentinels")
		}
	}
	t.sentinelUsername = values.Get("sentinel_username")
	t.sentinelPassword = values.Get("sentinel_password")
	return nil
}

// Redact returns raw with every password replaced by ***, for messages. It never fails; it hides
// more of what it can't read.
func Redact(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		if at := strings.LastIndexByte(raw, '@'); at >= 0 {
			return "***" + raw[at:]
		}
		return raw
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	if hasQuery && strings.Contains(query, "@") { // an unescaped ? in the password: where it ends cannot be known
		return scheme + "://***"
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, _, _ := strings.Cut(rest[:at], ":")
		rest = user + ":***" + rest[at:]
	}
	if hasQuery {
		rest += "?***"
	}
	return scheme + "://" + rest
}
