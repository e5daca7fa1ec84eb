package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/apikey"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// A form is a named rule for a text. Normalize returns the text as it is used. Its error is
// errForm, or one with its own words if the rule's sentence doesn't cover the fault.
type form struct {
	rule      string
	normalize func(text string) (string, error)
}

var errForm = errors.New("config: wrong form")

var (
	namePattern   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}(:[0-9]{1,5})?$`) // a port is what a supervisor adds: directory.PortApp
	keyPattern    = regexp.MustCompile(`^[^\s*?\[\]\\]{1,128}$`)
	pathPattern   = regexp.MustCompile(`^/[A-Za-z0-9_.~/-]*$`)
	accessPattern = regexp.MustCompile(`^(off|errors|all|1/[1-9][0-9]{0,8})(,sids)?$`)
	adminPattern  = regexp.MustCompile(`^[^:\s]+:\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}$`)
	originPattern = regexp.MustCompile(`^(null|[a-z][a-z0-9+.-]*://(\*\.)?[^*/?#@\s]+)$`)
)

var forms = map[string]form{
	"addr":         {"host:port or :port, such as :8080", addr},
	"addr-or-off":  {"host:port, :port or off", addrOrOff},
	"port":         {"a port, 1 to 65535", port},
	"access-log":   {"off, errors, all or 1/N, each with or without ,sids", matching(accessPattern)},
	"origins":      {"origins separated by commas, such as https://chat.example or https://*.example.com", origins},
	"bytes":        {"a number of bytes", number(0, math.MaxInt64)},
	"head-bytes":   {"a number of bytes, 1024 to 64000", number(1024, 64_000)},
	"dialable":     {"host:port as other hosts dial it, such as 10.0.0.4:8080", dialable},
	"name":         {"1 to 64 letters, digits, dots, dashes or underscores", matching(namePattern)},
	"key":          {"1 to 128 characters except blanks and *?[]\\", matching(keyPattern)},
	"hostname":     {"1 to 128 characters without blanks", hostname},
	"path":         {"a path such as /socket.io/", path},
	"instances":    {"max, a number up to 1024, or -N for N fewer than the cores", instances},
	"prefixes":     {"addresses or networks separated by commas, such as 10.0.0.0/8,192.0.2.7, or none", prefixes},
	"descriptors":  {"numbers separated by commas", descriptors},
	"readable":     {"a file that can be read", readable},
	"readables":    {"files that can be read, separated by commas", readables},
	"adapter":      {"redis, redis-sharded, redis-streams or memory", adapter},
	"adapter-mode": {"static, dynamic or dynamic-private", adapterMode},
	"upstreams":    {"http:// or https:// addresses separated by commas, such as http://10.0.0.4:3000", upstreams},
	"request-path": {"a path such as /healthz", requestPath},
	"admin-key":    {"16 to 1024 printable characters of ASCII without blanks", adminKey},
	"admin-ui":     {"USER:HASH with a hash of bcrypt, as htpasswd -nB USER prints it", matching(adminPattern)},
	"api-keys":     {"NAME=KEY, separated by commas", apiKeys},
	"redis-url":    {"redis[s]://, redis[s]+sentinel:// or redis[s]+cluster:// with host:port", redisURL},
}

// origins normalizes origins to lower case, as browsers write them.
func origins(text string) (string, error) {
	list := strings.Split(strings.ToLower(text), ",")
	for i, one := range list {
		if list[i] = strings.TrimSuffix(strings.TrimSpace(one), "/"); !originPattern.MatchString(list[i]) {
			return "", errForm
		}
	}
	return strings.Join(list, ","), nil
}

func number(least, most int64) func(string) (string, error) {
	return func(text string) (string, error) {
		if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < least || n > most {
			return "", errForm
		}
		return text, nil
	}
}

// addr accepts host:port, :port and a bare port, as in PORT. It refuses names of ports, because
// their meaning depends on the machine.
func addr(text string) (string, error) {
	if isPort(text) {
		return ":" + text, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || !isPort(port) || strings.ContainsFunc(host, unicode.IsSpace) {
		return "", errForm
	}
	return text, nil
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil && text[0] != '+'
}

func port(text string) (string, error) {
	if !isPort(text) || text == "0" {
		return "", errForm
	}
	return text, nil
}

func addrOrOff(text string) (string, error) {
	if IsOff(text) {
		return "off", nil
	}
	return addr(text)
}

func dialable(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || port == "0" || !isPort(port) || strings.ContainsFunc(host, unicode.IsSpace) {
		return "", errForm
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		return "", errForm
	}
	return text, nil
}

func matching(p *regexp.Regexp) func(string) (string, error) {
	return func(text string) (string, error) {
		if !p.MatchString(text) {
			return "", errForm
		}
		return text, nil
	}
}

func hostname(text string) (string, error) {
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	if len(text) > 128 || strings.ContainsFunc(text, bad) {
		return "", errForm
	}
	return text, nil
}

// path adds a slash at the end, as Socket.IO does.
func path(text string) (string, error) {
	if !pathPattern.MatchString(text) || strings.Contains(text, "//") {
		return "", errForm
	}
	return strings.TrimRight(text, "/") + "/", nil
}

func instances(text string) (string, error) {
	if n, err := strconv.Atoi(text); text != "max" && (err != nil || n > 1024 || n < -1024) {
		return "", errForm
	}
	return text, nil
}

// prefixes turns single addresses into networks, so that the field's type can read both.
func prefixes(text string) (string, error) {
	if text == "none" {
		return "", nil
	}
	var out []string
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if ip, err := netip.ParseAddr(one); err == nil {
			ip = ip.Unmap().WithZone("")
			out = append(out, netip.PrefixFrom(ip, ip.BitLen()).String())
			continue
		}
		p, err := netip.ParsePrefix(one)
		if err != nil {
			return "", errForm
		}
		out = append(out, p.Masked().String())
	}
	return strings.Join(out, ","), nil
}

func descriptors(text string) (string, error) {
	for one := range strings.SplitSeq(text, ",") {
		if n, err := strconv.Atoi(one); err != nil || n < 0 {
			return "", errForm
		}
	}
	return text, nil
}

func readable(text string) (string, error) {
	f, err := os.Open(text)
	if err != nil {
		return "", fmt.Errorf("must be a file that can be read: %w", errors.Unwrap(err))
	}
	return text, f.Close()
}

func readables(text string) (string, error) {
	files := strings.Split(text, ",")
	for i, one := range files {
		file, err := readable(strings.TrimSpace(one))
		if err != nil {
			return "", err
		}
		files[i] = file
	}
	return strings.Join(files, ","), nil
}

func adapter(text string) (string, error) {
	switch text {
	case "redis", "redis-sharded", "redis-streams", "memory":
		return text, nil
	}
	return "", errForm
}

func adapterMode(text string) (string, error) {
	switch text {
	case "static", "dynamic", "dynamic-private":
		return text, nil
	}
	return "", errForm
}

// upstreams checks a list with the code that reads it.
func upstreams(text string) (string, error) {
	if err := directory.CheckUpstreams(text); err != nil {
		return "", fmt.Errorf("isn't a list of upstreams: %w", err)
	}
	return text, nil
}

func requestPath(text string) (string, error) {
	if !strings.HasPrefix(text, "/") || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
		return "", errForm
	}
	return text, nil
}

// apiKeys checks keys with the code that reads them, and puts them into one line.
func apiKeys(text string) (string, error) {
	if _, err := apikey.Parse(text); err != nil {
		return "", fmt.Errorf("must be NAME=KEY, separated by commas: %w", err)
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }), ","), nil
}

// adminKey accepts what fits into a header, and isn't guessed.
func adminKey(text string) (string, error) {
	if len(text) < 16 || len(text) > 1024 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", errForm
	}
	return text, nil
}

// redisURL checks a URL with the code that reads it.
func redisURL(text string) (string, error) {
	conn, err := redisconn.Open(redisconn.Config{URL: text})
	var wrong *redisconn.ConfigError
	switch {
	case err == nil:
		return text, conn.Close()
	case errors.As(err, &wrong):
		return "", errors.New("isn't a Redis URL: " + wrong.Rule)
	}
	return "", err
}
