package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/buildinfo"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/demo"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/plug"
	"github.com/sidereal-io/sidereal/internal/service"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

func upCommand() *cobra.Command {
	var set config.Up
	cmd := &cobra.Command{
		Use:   "up [file | script | command [args...]]",
		Short: "Run a host in the foreground: a router and workers",
		Long: `Run a host in the foreground: a router and SIDEREAL_INSTANCES workers. Each worker is a process of the command, or of
the built-in demo app if there is no command. Flags after the command go to the command.

Process files (such as ecosystem.config.js) and scripts (worker.js) run as with ` + "`start --no-daemon`" + `. That command has
their flags.

SIGTERM and SIGINT drain the host and end it. A second one ends it at once. SIGUSR2 replaces the workers one by one.
SIGHUP reads the certificates again.`,
		Example: "  sidereal up\n  sidereal up -i 4 ./chat\n  SIDEREAL_REDIS_URL=redis://10.0.0.9:6379 sidereal up ./chat",
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := load(cmd, &set)
			if err != nil {
				return err
			}
			return up(set, settings, args)
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// up runs a host of one app until a signal stops it.
func up(set config.Up, settings *config.Settings, args []string) error {
	cfg := host.RunConfig{
		Settings: set, Variables: settings, Environ: os.Environ(), Version: buildinfo.Read().Version, Exit: exitAtOnce,
		Stdout: os.Stdout, Stderr: os.Stderr, Color: config.Color(os.Stderr), Log: logger(set.Log, settings, set.HostName, "up"),
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cfg.Program = []string{self}
	if cfg.Command, cfg.Own, err = workerProgram(self, args); err != nil {
		return err
	}
	kill, reload := make(chan struct{}, 1), make(chan os.Signal, 1)
	ctx, stop := untilSignal(func() {
		select {
		case kill <- struct{}{}:
		default:
		}
	})
	defer stop()
	if cfg.Own {
		cfg.Plug = func(o *host.Operated) host.Plug { return plug.New(o, cfg.Log) }
	} else {
		cfg.Client = demo.Bundle()
	}
	if _, err := service.OpenCertificates(set.TLS); err != nil {
		return err
	}
	signal.Notify(reload, syscall.SIGUSR2)
	defer signal.Stop(reload)
	cfg.Kill, cfg.Reload, cfg.Hangups = kill, reload, lifeline.NotifyHangups()
	err = host.Run(ctx, cfg)
	var exit *supervisor.ExitError
	if errors.As(err, &exit) && exit.Code == config.ExitUsage {
		return exitCode(config.ExitUsage) // the process has logged the reason
	}
	return err
}

// workerProgram returns the command of the workers: the given one, or the demo app of this
// program.
func workerProgram(self string, args []string) (command []string, own bool, err error) {
	if len(args) == 0 {
		return []string{self, "worker"}, true, nil
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return nil, false, usageError("no program " + args[0] + ": sidereal up runs a program, a script or a process file")
	}
	return append([]string{path}, args[1:]...), false, nil
}
