package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/buildinfo"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/demo"
	"github.com/sidereal-io/sidereal/internal/guardian"
)

// daemonCommand makes the command of the process that `sidereal start` leaves behind.
func daemonCommand() *cobra.Command {
	var set config.Daemon
	cmd := &cobra.Command{
		Use: "daemon", Hidden: true, Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if guardian.Needed() {
				return guard(daemon.Inherited()...)
			}
			settings, err := load(cmd, &set)
			if err != nil {
				return err
			}
			cfg, err := daemonConfig(set, settings)
			if err != nil {
				return err
			}
			cfg.OwnLog = cfg.Home.OpenLog(daemon.RotationOf(set.LogFiles))
			cfg.Log = set.Log.Logger(cfg.OwnLog, false, set.HostName, "daemon")
			if err := runGuarded(cfg); !errors.Is(err, daemon.ErrRunning) {
				return err
			}
			return nil // the command that started us uses the other daemon
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	return cmd
}

// guard makes this process the guardian of another one, which does what this one was told to.
func guard(inherited ...*os.File) error {
	code, err := guardian.Run(inherited...)
	if err == nil && code != 0 {
		err = exitCode(code)
	}
	return err
}

// runGuarded runs a daemon in this process until a signal stops it, or it ends by itself. At the
// second signal, or without its guardian, it ends at once and leaves nothing behind.
func runGuarded(cfg daemon.Config) error {
	ctx, stop := untilSignal(endAtOnce)
	defer stop()
	unwatch, err := guardian.Watch(func() {
		stop() // nothing starts again
		endAtOnce()
	})
	if err != nil {
		return err
	}
	defer unwatch()
	return daemon.Run(ctx, cfg)
}

// endAtOnce ends this process and all that it has started.
func endAtOnce() {
	guardian.End()
	os.Exit(config.ExitFailed)
}

// daemonConfig returns the configuration of a daemon with these settings.
func daemonConfig(set config.Daemon, settings *config.Settings) (cfg daemon.Config, err error) {
	self, err := os.Executable()
	if err != nil {
		return cfg, err
	}
	home, err := daemon.OpenHome(set.Home.Home)
	if err != nil {
		return cfg, &config.ValueError{Variable: "SIDEREAL_HOME", Value: set.Home.Home, Rule: "cannot be used: " + err.Error()}
	}
	return daemon.Config{
		Home: home, Version: buildinfo.Read().Version, Client: demo.Bundle(), Program: []string{self}, Settings: set,
		AdminChosen: settings.Get("SIDEREAL_ADMIN_ADDR").Set(), Shown: daemonSettings(settings),
		Log: logger(set.Log, settings, set.HostName, "daemon"),
	}, nil
}

// daemonSettings returns the settings that a daemon keeps from its start on.
func daemonSettings(settings *config.Settings) map[string]string {
	shown := map[string]string{}
	for _, name := range []string{"SIDEREAL_ADMIN_ADDR", "SIDEREAL_LOG_LEVEL", "SIDEREAL_LOG_MAX_MB", "SIDEREAL_LOG_KEEP", "SIDEREAL_LOG_MAX_AGE"} {
		shown[name] = settings.Get(name).Text
	}
	return shown
}
