package worker

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

// A program that fills a Config by itself knows nothing of variables.
func TestRunNamesFields(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	redis := testkit.MiniRedis(t)
	redis.RequireAuth("right")
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Addr: taken}, `worker: Addr "` + taken + `": is in use by another process`},
		{Config{Addr: "127.0.0.1:0", AdminAddr: taken}, `worker: AdminAddr "` + taken + `": is in use by another process`},
		{Config{Redis: sidereal.Redis{URL: "http://u:p@h"}},
			`worker: Redis.URL "http://u:***@h": scheme must be redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster or rediss+cluster`},
		{Config{Redis: sidereal.Redis{URL: "rediss://h", KeyFile: "key.pem"}}, `worker: Redis.CertFile: must be set together with KeyFile`},
		{Config{Redis: sidereal.Redis{URL: "redis://:wrong@" + redis.Addr()}},
			`worker: Redis.URL "redis://:***@` + redis.Addr() + `": is refused: redis: wrong user or password: WRONGPASS invalid username-password pair`},
	} {
		if err := Run(t.Context(), c.cfg, hello); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func TestErrorsOfFieldsBecomeThoseOfVariables(t *testing.T) {
	other := errors.New("other")
	err := inVariables(errors.Join(
		&fieldError{"Addr", "127.0.0.1:80", "must not be a loopback address, since Redis is on another host; or set Advertise"}, other))
	const want = `SIDEREAL_ADDR="127.0.0.1:80" must not be a loopback address, since Redis is on another host; or set SIDEREAL_ADVERTISE` + "\nother"
	if err.Error() != want || !errors.Is(err, other) || config.ExitCode(err) != config.ExitUsage {
		t.Errorf("got %v", err)
	}
	if inVariables(nil) != nil {
		t.Error("no error became one")
	}
}

func TestFromEnvFillsTheConfig(t *testing.T) {
	cfg, err := fromEnv(config.Source{Environ: []string{
		"PORT=3000", "SIDEREAL_ADVERTISE=10.0.0.4:3000", "SIDEREAL_ADMIN_ADDR=127.0.0.1:9000", "SIDEREAL_APP=shop",
		"SIDEREAL_REDIS_URL=redis://h", "SIDEREAL_REDIS_PASSWORD=secret", "SIDEREAL_PATH=/chat", "SIDEREAL_RECOVERY=2m",
		"SIDEREAL_DRAIN_DELAY=1s", "SIDEREAL_DRAIN_RATE=7", "SIDEREAL_SHUTDOWN_TIMEOUT=9s",
		"SIDEREAL_RUNTIME_DIR=/run/x", "SIDEREAL_WORKER_ID=4", "SIDEREAL_SUPERVISOR_FD=5",
	}}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Addr != ":3000" || cfg.Advertise != "10.0.0.4:3000" || cfg.AdminAddr != "127.0.0.1:9000" || cfg.App != "shop" ||
		cfg.Redis != (sidereal.Redis{URL: "redis://h", Password: "secret"}) ||
		cfg.SocketIO.Path != "/chat/" || cfg.SocketIO.Recovery.MaxDisconnection != 2*time.Minute ||
		cfg.DrainDelay != time.Second || cfg.DrainRate != 7 || cfg.ShutdownTimeout != 9*time.Second ||
		cfg.supervised != (supervision{dir: "/run/x", slot: 4, fd: 5}) {
		t.Errorf("%+v", cfg)
	}
	if cfg, err = fromEnv(config.Source{}, Config{}); err != nil || cfg.AdminAddr != "" || cfg.SocketIO.Recovery != nil || cfg.supervised.fd != 0 {
		t.Errorf("of an empty environment: %+v, %v", cfg, err)
	}
}

// The zero Config is a worker alone.
func TestZeroConfigHasDefaults(t *testing.T) {
	cfg, err := Config{}.withDefaults()
	if err != nil || cfg.Addr != ":8080" || cfg.App != "default" || cfg.HostName == "" || cfg.DrainRate != 100 || cfg.ShutdownTimeout != 35*time.Second {
		t.Errorf("%+v, %v", cfg, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	err = Run(ctx, Config{Addr: "127.0.0.1:0"}, func(ctx context.Context, _ *socketio.Server) error {
		if InfoFrom(ctx).Slot != 1 {
			t.Errorf("%+v", InfoFrom(ctx))
		}
		stop()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
