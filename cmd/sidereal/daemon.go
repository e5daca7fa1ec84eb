package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/daemon"
)

// daemonCommand makes the command of the process that `sidereal start` leaves behind.
func daemonCommand() *cobra.Command {
	var set config.Daemon
	cmd := &cobra.Command{
		Use: "daemon", Hidden: true, Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
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
			ctx, stop := untilSignal(exitAtOnce)
			defer stop()
			if err := daemon.Run(ctx, cfg); !errors.Is(err, daemon.ErrRunning) {
				return err
			}
			return nil // the command that started us uses the other daemon
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	return cmd
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
		Home: home, Version: versionText(), Program: []string{self}, Settings: set,
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
