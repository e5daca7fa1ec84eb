package config

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/sidereal-io/sidereal/internal/redisconn"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func load[T any](t *testing.T, args []string, environ ...string) (T, *Settings, error) {
	t.Helper()
	var c T
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags, &c)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	s, err := Load(&c, Source{Environ: environ, Flags: flags})
	return c, s, err
}

func TestPrecedenceIsFlagEnvironmentFallbackDefault(t *testing.T) {
	for _, c := range []struct {
		args       []string
		environ    []string
		addr, from string
	}{
		{nil, nil, ":8080", "default"},
		{nil, []string{"PORT=3000"}, ":3000", "environment PORT"},
		{nil, []string{"PORT=3000", "PM2_PORT=4000"}, ":4000", "environment PM2_PORT"},
		{nil, []string{"PORT=3000", "SIDEREAL_ADDR=127.0.0.1:5000"}, "127.0.0.1:5000", "environment SIDEREAL_ADDR"},
		{[]string{"--addr", ":6000"}, []string{"SIDEREAL_ADDR=:5000"}, ":6000", "flag --addr"},
		{nil, []string{"SIDEREAL_ADDR="}, ":8080", "default"},
	} {
		up, s, err := load[Up](t, c.args, c.environ...)
		if err != nil {
			t.Fatal(err)
		}
		if v := s.Get("SIDEREAL_ADDR"); up.Addr != c.addr || v.Text != c.addr || v.From != c.from {
			t.Errorf("%v %v: %q, %+v; want %q from %q", c.args, c.environ, up.Addr, v, c.addr, c.from)
		}
	}
}

func TestDefaults(t *testing.T) {
	up, _, err := load[Up](t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if up.SIDTTL != 90*time.Second || up.DrainRate != 100 || up.RequestsTimeout != 5*time.Second || up.DrainDelay != 0 ||
		up.ShutdownTimeout != 35*time.Second || up.Format != "json" || up.Path != "/socket.io/" || up.HostName == "" ||
		up.Instances != "max" || up.AdminAddr != "127.0.0.1:9480" {
		t.Errorf("%+v", up)
	}
	w, _, err := load[Worker](t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !IsOff(w.AdminAddr) || w.Slot != 1 || w.SupervisorFD != -1 || w.ListenFDs != nil {
		t.Errorf("%+v", w)
	}
	var onTerminal Up
	if _, err := Load(&onTerminal, Source{Terminal: true}); err != nil {
		t.Fatal(err)
	}
	if onTerminal.ShutdownTimeout != 3*time.Second || onTerminal.Format != "console" {
		t.Errorf("on a terminal: %+v", onTerminal)
	}
}

func TestWrongValueIsOneLineWithVariableValueAndRule(t *testing.T) {
	for _, c := range []struct {
		args    []string
		environ string
		want    string
	}{
		{nil, "SIDEREAL_ADDR=nine", `SIDEREAL_ADDR="nine" must be host:port or :port, such as :8080`},
		{nil, "SIDEREAL_ADDR=:99999", `SIDEREAL_ADDR=":99999" must be host:port or :port, such as :8080`},
		{nil, "PORT=http", `SIDEREAL_ADDR="http" (from environment PORT) must be host:port or :port, such as :8080`},
		{[]string{"--sid-ttl", "90"}, "", `SIDEREAL_SID_TTL="90" (from flag --sid-ttl) must be a duration such as 1500ms, 35s or 2m, at least 6s`},
		{nil, "SIDEREAL_SID_TTL=10ms", `SIDEREAL_SID_TTL="10ms" must be a duration such as 1500ms, 35s or 2m, at least 6s`},
		{nil, "SIDEREAL_DRAIN_RATE=0", `SIDEREAL_DRAIN_RATE="0" must be a whole number, at least 1`},
		{nil, "SIDEREAL_BALANCE=leastconn", `SIDEREAL_BALANCE="leastconn" must be one of least-connection, round-robin, random`},
		{nil, "SIDEREAL_ADAPTER=streams", `SIDEREAL_ADAPTER="streams" must be redis, redis-sharded, redis-streams or memory`},
		{nil, "SIDEREAL_STREAM_COUNT=0", `SIDEREAL_STREAM_COUNT="0" must be a whole number, at least 1`},
		{nil, "SIDEREAL_STREAM_NAME=a b", `SIDEREAL_STREAM_NAME="a b" must be 1 to 128 characters except blanks and *?[]\`},
		{nil, "SIDEREAL_STREAM_BLOCK=5", `SIDEREAL_STREAM_BLOCK="5" must be a duration such as 1500ms, 35s or 2m, at least 10ms`},
		{nil, "SIDEREAL_STREAM_SHARDED_PUBSUB=yes", `SIDEREAL_STREAM_SHARDED_PUBSUB="yes" must be one of off, on`},
		{nil, "SIDEREAL_ADAPTER_BUFFER_BYTES=64MB", `SIDEREAL_ADAPTER_BUFFER_BYTES="64MB" must be a whole number, at least 1`},
		{nil, "SIDEREAL_ADAPTER_SPECIFIC_RESPONSES=1", `SIDEREAL_ADAPTER_SPECIFIC_RESPONSES="1" must be one of off, on`},
		{nil, "SIDEREAL_INSTANCES=many", `SIDEREAL_INSTANCES="many" must be max, a number up to 1024, or -N for N fewer than the cores`},
		{nil, "SIDEREAL_ADVERTISE=0.0.0.0:80", `SIDEREAL_ADVERTISE="0.0.0.0:80" must be host:port as other hosts dial it, such as 10.0.0.4:8080`},
		{nil, "SIDEREAL_TRUSTED_PROXIES=10.0.0.0/40", `SIDEREAL_TRUSTED_PROXIES="10.0.0.0/40" must be addresses or networks separated by commas, such as 10.0.0.0/8,192.0.2.7, or none`},
		{nil, "SIDEREAL_PROXY_PROTOCOL=on", `SIDEREAL_PROXY_PROTOCOL="on" needs SIDEREAL_TRUSTED_PROXIES, which is not set`},
		{nil, "SIDEREAL_REDIRECT_ADDR=:80", `SIDEREAL_REDIRECT_ADDR=":80" needs SIDEREAL_TLS_CERT, which is not set`},
		{nil, "SIDEREAL_ACCESS_LOG=1/0", `SIDEREAL_ACCESS_LOG="1/0" must be off, errors, all or 1/N, each with or without ,sids`},
		{nil, "SIDEREAL_ALLOWED_ORIGINS=*", `SIDEREAL_ALLOWED_ORIGINS="*" must be origins separated by commas, such as https://chat.example or https://*.example.com`},
		{nil, "SIDEREAL_MAX_HEAD_BYTES=1", `SIDEREAL_MAX_HEAD_BYTES="1" must be a number of bytes, 1024 to 64000`},
		{nil, "SIDEREAL_REDIS_CA_FILE=/nowhere/ca.pem", `SIDEREAL_REDIS_CA_FILE="/nowhere/ca.pem" must be a file that can be read: no such file or directory`},
		{nil, "SIDEREAL_REDIS_PASSWORD_FILE=/nowhere/pw", `SIDEREAL_REDIS_PASSWORD_FILE="/nowhere/pw" must be a file that can be read: no such file or directory`},
		{nil, "REDIS_URL=http://u:p@x", `SIDEREAL_REDIS_URL="http://u:***@x" (from environment REDIS_URL) isn't a Redis URL: scheme must be redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster or rediss+cluster`},
		{nil, "SIDEREAL_TLS_CERT=/cert.pem", `SIDEREAL_TLS_CERT="/cert.pem" must be a file that can be read: no such file or directory`},
		{nil, "SIDEREAL_TLS_KEY=settings.go, load.go", `SIDEREAL_TLS_KEY="settings.go,load.go" needs SIDEREAL_TLS_CERT, which is not set`},
		{nil, "SIDEREAL_REDIS_USERNAME=bob", `SIDEREAL_REDIS_USERNAME="bob" needs SIDEREAL_REDIS_URL, which is not set`},
		{nil, "SIDEREAL_REDIS_PASSWORD=secret", `SIDEREAL_REDIS_PASSWORD="(hidden)" needs SIDEREAL_REDIS_URL, which is not set`},
	} {
		_, _, err := load[Up](t, c.args, c.environ)
		if err == nil || err.Error() != c.want {
			t.Errorf("%v %s:\n got %v\nwant %s", c.args, c.environ, err, c.want)
		}
		if ExitCode(err) != ExitUsage {
			t.Errorf("%s: exit code %d", c.environ, ExitCode(err))
		}
	}
}

func TestEdge(t *testing.T) {
	up, _, err := load[Up](t, nil, "SIDEREAL_ALLOWED_ORIGINS=https://Chat.example/, https://*.b.example", "SIDEREAL_PROXY_PROTOCOL=off",
		"SIDEREAL_ACCESS_LOG=1/100,sids", "SIDEREAL_MAX_BODY_BYTES=5000000000")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(up.AllowedOrigins, []string{"https://chat.example", "https://*.b.example"}) || up.AccessLog != "1/100,sids" ||
		up.MaxBodyBytes != 5e9 || up.MaxHeadBytes != 16<<10 || up.HeadTimeout != 10*time.Second || up.HTTP2 != "on" {
		t.Errorf("%+v", up)
	}
}

func TestWrongUpstreams(t *testing.T) {
	for environ, want := range map[string]string{
		"SIDEREAL_UPSTREAMS=10.0.0.4:3000":                 `SIDEREAL_UPSTREAMS="10.0.0.4:3000" isn't a list of upstreams: "10.0.0.4:3000": must begin with http:// or https://`,
		"SIDEREAL_UPSTREAMS=http://a:3000,http://b/chat":   `SIDEREAL_UPSTREAMS="http://a:3000,http://b/chat" isn't a list of upstreams: "http://b/chat": must be a scheme, a host and a port, nothing more`,
		"SIDEREAL_UPSTREAM_CHECK=/healthz":                 `SIDEREAL_UPSTREAM_CHECK="/healthz" needs SIDEREAL_UPSTREAMS, which is not set`,
		"SIDEREAL_UPSTREAM_CHECK=healthz":                  `SIDEREAL_UPSTREAM_CHECK="healthz" must be a path such as /healthz`,
		"SIDEREAL_UPSTREAM_INTERVAL=0s":                    `SIDEREAL_UPSTREAM_INTERVAL="0s" must be a duration such as 1500ms, 35s or 2m, at least 100ms`,
		"SIDEREAL_UPSTREAM_CA_FILE=/nowhere/upstreams.pem": `SIDEREAL_UPSTREAM_CA_FILE="/nowhere/upstreams.pem" must be a file that can be read: no such file or directory`,
	} {
		if _, _, err := load[Router](t, nil, environ); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", environ, err, want)
		}
	}
}

func TestAllWrongValuesAreReportedTogether(t *testing.T) {
	_, _, err := load[Up](t, nil, "SIDEREAL_ADDR=x", "SIDEREAL_DRAIN_RATE=x")
	if err == nil || len(strings.Split(err.Error(), "\n")) != 2 {
		t.Errorf("got %v, want two lines", err)
	}
	var v *ValueError
	if !errors.As(err, &v) || v.Variable != "SIDEREAL_ADDR" {
		t.Errorf("first error is about %v", v)
	}
}

func TestSecretsComeFromFilesAndAreHidden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	up, s, err := load[Up](t, nil, "SIDEREAL_REDIS_PASSWORD_FILE="+path, "SIDEREAL_REDIS_URL=redis://me:swordfish@10.0.0.1:6379/2")
	if err != nil {
		t.Fatal(err)
	}
	if up.RedisPassword != "hunter2" {
		t.Errorf("password is %q", up.RedisPassword)
	}
	if len(s.Warnings) > 0 {
		t.Errorf("warned: %q", s.Warnings)
	}
	var out bytes.Buffer
	if err := s.Print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "swordfish") || !strings.Contains(out.String(), "file "+path) {
		t.Errorf("printed:\n%s", out.String())
	}
	_, _, err = load[Up](t, nil, "SIDEREAL_REDIS_PASSWORD_FILE="+path, "SIDEREAL_REDIS_PASSWORD=x")
	if err == nil || !strings.Contains(err.Error(), "must not be set together with SIDEREAL_REDIS_PASSWORD") {
		t.Errorf("both set: %v", err)
	}
}

func TestHidden(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"hunter2":                    "(hidden)",
		"redis://h:6379/2":           "redis://h:6379/2",
		"redis://u:p@h:6379":         "redis://u:***@h:6379",
		"redis://u:p@q@h:6379/1?a=b": "redis://u:***@h:6379/1?***",
		"redis://u:p/q@h:6379":       "redis://u:***@h:6379",
	} {
		if got := Hidden(text); got != want {
			t.Errorf("Hidden(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestUnknownVariablesAreWarnedAboutWithTheNearestName(t *testing.T) {
	for name, want := range map[string]string{
		"SIDEREAL_REDIS_ULR":         "SIDEREAL_REDIS_ULR is not a setting: did you mean SIDEREAL_REDIS_URL?",
		"SIDEREAL_HOSTNAME":          "SIDEREAL_HOSTNAME is not a setting: did you mean SIDEREAL_HOST_NAME?",
		"SIDEREAL_INSTANCE":          "SIDEREAL_INSTANCE is not a setting: did you mean SIDEREAL_INSTANCES?",
		"SIDEREAL_SOMETHING_UNHEARD": "SIDEREAL_SOMETHING_UNHEARD is not a setting",
	} {
		_, s, err := load[Worker](t, nil, name+"=x")
		if err != nil || !slices.Equal(s.Warnings, []string{want}) {
			t.Errorf("%s: %q, %v; want %q", name, s.Warnings, err, want)
		}
	}
	// What another command reads, or the supervisor sets, is no unknown.
	if _, s, _ := load[Worker](t, nil, "SIDEREAL_INSTANCES=2", "SIDEREAL_WORKER_ID=1", "SIDEREAL_HOME=/x", "OTHER=1"); len(s.Warnings) > 0 {
		t.Errorf("warned: %q", s.Warnings)
	}
}

func TestNormalizedForms(t *testing.T) {
	up, s, err := load[Up](t, nil, "SIDEREAL_ADDR=9000", "SIDEREAL_PATH=/rt", "SIDEREAL_ADMIN_ADDR=OFF",
		"SIDEREAL_TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.7,2001:db8::/32")
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")}
	if up.Addr != ":9000" || up.Path != "/rt/" || !IsOff(up.AdminAddr) || !slices.Equal(up.TrustedProxies, want) {
		t.Errorf("%+v", up)
	}
	// A child resolves the same values from the environment that the settings make.
	var w Worker
	if _, err := Load(&w, Source{Environ: s.Environ(), Terminal: true}); err != nil {
		t.Fatal(err)
	}
	if w.Addr != up.Addr || w.Stopping != up.Stopping || w.Log != up.Log || w.App != up.App {
		t.Errorf("worker %+v\n    up %+v", w, up)
	}
}

func TestCount(t *testing.T) {
	for _, c := range []struct {
		text        string
		cores, want int
	}{{"max", 4, 4}, {"0", 4, 4}, {"-1", 4, 3}, {"-9", 4, 1}, {"7", 4, 7}, {"max", 0, 1}} {
		if got := Count(c.text, c.cores); got != c.want {
			t.Errorf("Count(%q, %d) = %d, want %d", c.text, c.cores, got, c.want)
		}
	}
}

// TestUpTakesWhatItsProcessesTake keeps `up` able to set everything that its router and workers
// read.
func TestUpTakesWhatItsProcessesTake(t *testing.T) {
	var known []string
	for _, f := range fields(reflect.TypeFor[Up]()) {
		known = append(known, f.Variable)
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[Router](), reflect.TypeFor[Worker]()} {
		for _, f := range fields(typ) {
			if !f.internal() && !slices.Contains(known, f.Variable) {
				t.Errorf("up does not take %s, which %s reads", f.Variable, typ.Name())
			}
		}
	}
}

// TestRulesExist catches a tag that names no form, and a field that no rule covers.
func TestRulesExist(t *testing.T) {
	for name, typ := range commands {
		for _, f := range fields(typ) {
			if needed := f.tag.Get("needs"); needed != "" && !slices.ContainsFunc(fields(typ), func(o field) bool { return o.Variable == needed }) {
				t.Errorf("%s: %s needs %s, which the command does not read", name, f.Variable, needed)
			}
			if form := f.tag.Get("form"); form != "" && forms[form].normalize == nil {
				t.Errorf("%s: %s names the form %q, which does not exist", name, f.Variable, form)
			}
			if f.kind.Kind() != reflect.String && f.tag.Get("form") == "" && f.tag.Get("min") == "" {
				t.Errorf("%s: %s has no rule", name, f.Variable)
			}
		}
	}
}

// TestRedisProblemsNameVariables: redisconn names the fields of its Config, an operator set
// variables.
func TestRedisProblemsNameVariables(t *testing.T) {
	for _, c := range []struct {
		set  Redis
		want string
	}{
		{Redis{RedisURL: "redis://u:p@h", RedisCAFile: "ca.pem"}, `SIDEREAL_REDIS_URL="redis://u:***@h" must begin with rediss when SIDEREAL_REDIS_CA_FILE, SIDEREAL_REDIS_CERT_FILE or SIDEREAL_REDIS_KEY_FILE is set`},
		{Redis{RedisURL: "rediss://h", RedisCertFile: "cert.pem"}, `SIDEREAL_REDIS_CERT_FILE="cert.pem" must be set together with SIDEREAL_REDIS_KEY_FILE`},
	} {
		_, err := c.set.Open(slog.New(slog.DiscardHandler), nil)
		if err == nil || err.Error() != c.want || ExitCode(err) != ExitUsage {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, ExitDone},
		{errors.New("x"), ExitFailed},
		{redisconn.ErrUnreachable, ExitFailed},
		{fmt.Errorf("x: %w", redisconn.ErrAuth), ExitUsage},
		{fmt.Errorf("x: %w", redisconn.ErrRights), ExitUsage},
		{fmt.Errorf("x: %w", redisconn.ErrDatabase), ExitUsage},
		{&redisconn.ConfigError{}, ExitUsage},
		{errors.Join(errors.New("x"), &ValueError{}), ExitUsage},
	} {
		if got := ExitCode(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}

func TestAdvertised(t *testing.T) {
	for _, c := range []struct{ listen, advertise, local, want string }{
		{":8080", "", "10.0.0.4", "10.0.0.4:8080"},
		{"0.0.0.0:8080", "", "10.0.0.4", "10.0.0.4:8080"},
		{"[::]:8080", "", "fd00::4", "[fd00::4]:8080"},
		{"192.0.2.1:8080", "", "10.0.0.4", "192.0.2.1:8080"},
		{":8080", "door.example:80", "10.0.0.4", "door.example:80"},
		{":8080", "", "127.0.0.1", "127.0.0.1:8080"},
		{":8080", "127.0.0.1:8080", "127.0.0.1", "127.0.0.1:8080"},
		{":8080", "127.0.0.1:8080", "10.0.0.4", `SIDEREAL_ADVERTISE="127.0.0.1:8080" must not be a loopback address, since Redis is on another host`},
		{":8080", "localhost:8080", "10.0.0.4", `SIDEREAL_ADVERTISE="localhost:8080" must not be a loopback address, since Redis is on another host`},
		{"127.0.0.1:8080", "", "10.0.0.4", `SIDEREAL_ADDR="127.0.0.1:8080" must not be a loopback address, since Redis is on another host; or set SIDEREAL_ADVERTISE`},
	} {
		got, err := Door{Advertise: c.advertise}.Advertised(c.listen, netip.MustParseAddr(c.local))
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}
