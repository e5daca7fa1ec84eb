package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/cluster"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/service"
	"github.com/sidereal-io/sidereal/internal/sockets"
)

const (
	checkTimeout = 5 * time.Second
	fewFiles     = 4096 // descriptors: each connection takes one, each relayed one two
)

func checkCommand() *cobra.Command {
	var set config.Up
	cmd := &cobra.Command{
		Use: "check", Short: "Check whether a host can start here", Args: takes(0, 0),
		Long: `Check whether a host can start here: settings, Redis and its rights, upstreams, certificates, ports and file
descriptors. The command doesn't disturb servers that use the same Redis.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := load(cmd, &set)
			if err != nil {
				return err
			}
			c := checks{out: cmd.OutOrStdout(), set: set, settings: settings}
			return c.run(cmd.Context())
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	return cmd
}

// checks runs one check after the other and prints a line for each.
type checks struct {
	out      io.Writer
	set      config.Up
	settings *config.Settings
}

func (c *checks) run(parent context.Context) error {
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, checkTimeout)
	defer cancel()
	worst := config.ExitDone
	for _, check := range []struct {
		name string
		try  func(context.Context) (string, error)
	}{
		{"settings", c.warnings},
		{"redis", c.redis},
		{"adapter", c.adapter},
		{"upstreams", c.upstreams},
		{"tls", c.tls},
		{"addr", c.addr},
		{"redirect", c.redirect},
		{"admin", c.admin},
		{"descriptors", descriptors},
	} {
		found, err := check.try(ctx)
		if err != nil {
			worst = max(worst, config.ExitCode(err))
			for line := range strings.SplitSeq(err.Error(), "\n") {
				fmt.Fprintf(c.out, "FAIL  %-12s %s\n", check.name, line)
			}
			continue
		}
		fmt.Fprintf(c.out, "ok    %-12s %s\n", check.name, found)
	}
	if worst != config.ExitDone {
		return exitCode(worst)
	}
	return nil
}

func (c *checks) warnings(context.Context) (string, error) {
	if len(c.settings.Warnings) > 0 {
		return "", errors.New(c.settings.Warnings[0])
	}
	return "no unknown variable, no wrong value", nil
}

func (c *checks) redis(ctx context.Context) (string, error) {
	if c.set.RedisURL == "" {
		return "none set: sidereal up embeds one for this host; several hosts need SIDEREAL_REDIS_URL", nil
	}
	app, err := cluster.Open(ctx, cluster.Config{Redis: c.set.Redis, App: c.set.App.App, SIDTTL: c.set.SIDTTL, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	defer app.Close()
	if err := app.Check(ctx); err != nil {
		return "", err
	}
	return app.Conn.String() + " answers and gives every right", nil
}

// adapter tries the workers' commands of the adapter. Its result has a line for each missing
// right.
func (c *checks) adapter(ctx context.Context) (string, error) {
	form := cmp.Or(c.set.Adapter, adapterenv.Classic)
	if c.set.RedisURL == "" || form == adapterenv.Memory {
		return "not tried: there is no Redis between servers", nil
	}
	conn, err := c.set.Redis.Open(slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	missing, err := adapterenv.Missing(ctx, c.set.Cluster, c.set.Redis, conn)
	return form + " may do in Redis what it has to, for the namespace /", errors.Join(append(missing, err)...)
}

func (c *checks) upstreams(ctx context.Context) (string, error) {
	if c.set.Upstreams.List == "" {
		return "none listed", nil
	}
	if _, err := service.Authorities(c.set.Upstreams.CAFile); err != nil {
		return "", err
	}
	n, err := service.LookUp(ctx, c.set.Upstreams.List)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d servers are listed", n), nil
}

func (c *checks) tls(context.Context) (string, error) {
	switch found, err := service.OpenCertificates(c.set.TLS); {
	case err != nil:
		return "", err
	case found == nil:
		return "no certificate is set: the public address speaks plain HTTP", nil
	}
	return c.set.TLSCert + " can be used", nil
}

func (c *checks) addr(ctx context.Context) (string, error) {
	return tryListen(ctx, "SIDEREAL_ADDR", c.set.Addr)
}

func (c *checks) redirect(ctx context.Context) (string, error) {
	if c.set.RedirectAddr == "" {
		return "none set", nil
	}
	return tryListen(ctx, "SIDEREAL_REDIRECT_ADDR", c.set.RedirectAddr)
}

func (c *checks) admin(ctx context.Context) (string, error) {
	if config.IsOff(c.set.AdminAddr) {
		return "off", nil
	}
	found, err := tryListen(ctx, "SIDEREAL_ADMIN_ADDR", c.set.AdminAddr)
	if err != nil && !c.settings.Get("SIDEREAL_ADMIN_ADDR").Set() {
		return c.set.AdminAddr + " is not free: sidereal up takes the next port", nil
	}
	return found, err
}

func tryListen(ctx context.Context, variable, addr string) (string, error) {
	l, err := sockets.Listen(ctx, variable, addr)
	if err != nil {
		return "", err
	}
	return addr + " is free", l.Close()
}

// descriptors checks the limit, which the Go runtime has raised as far as it may.
func descriptors(context.Context) (string, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return "", err
	}
	if limit.Cur < fewFiles {
		return "", fmt.Errorf("the limit of %d open files allows about %d clients; raise ulimit -n", limit.Cur, limit.Cur/2)
	}
	return fmt.Sprintf("%d files may be open", limit.Cur), nil
}
