package main

import (
	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/buildinfo"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/service"
)

func routerCommand() *cobra.Command {
	var set config.Router
	cmd := &cobra.Command{
		Use: "router", Short: "Run a router alone, in front of workers on the same Redis or of listed servers", Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := load(cmd, &set)
			if err != nil {
				return err
			}
			cfg := service.RouterConfig{Process: processOf(settings, set.Log, set.RuntimeDir != "", set.HostName, "router"), Settings: set}
			ctx, stop := untilSignal(exitAtOnce)
			defer stop()
			return service.Router(ctx, cfg)
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	return cmd
}

// processOf tells a service about its process. The supervisor of a supervised one has already
// logged the warnings.
func processOf(settings *config.Settings, set config.Log, supervised bool, host, name string) service.Process {
	p := service.Process{AdminChosen: settings.Get("SIDEREAL_ADMIN_ADDR").Set(), Version: buildinfo.Read().Version}
	if supervised {
		p.Log = childLogger(set, host, name)
	} else {
		p.Log = logger(set, settings, host, name)
	}
	return p
}

// apiCommand makes the command of the HTTP API.
func apiCommand() *cobra.Command {
	var set config.APIServer
	cmd := &cobra.Command{
		Use: "api", Short: "Run the HTTP API alone, for an app whose hosts share a Redis", Args: takes(0, 0),
		Example: "  SIDEREAL_REDIS_URL=redis://10.0.0.9:6379 SIDEREAL_API_KEYS_FILE=/run/secrets/api sidereal api --api-addr 127.0.0.1:9481",
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := load(cmd, &set)
			if err != nil {
				return err
			}
			cfg := service.APIConfig{Process: processOf(settings, set.Log, set.RuntimeDir != "", set.HostName, "api"), Settings: set}
			ctx, stop := untilSignal(exitAtOnce)
			defer stop()
			return service.API(ctx, cfg)
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	return cmd
}

// redisCommand makes the command of the embedded Redis.
func redisCommand() *cobra.Command {
	return &cobra.Command{
		Use: "redis", Hidden: true, Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var set config.EmbeddedRedis
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			ctx, stop := untilSignal(exitAtOnce)
			defer stop()
			return service.Redis(ctx, set)
		},
	}
}

// nodehostCommand makes the command of the node host.
func nodehostCommand() *cobra.Command {
	return &cobra.Command{
		Use: "nodehost", Hidden: true, Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var set config.NodeHost
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			ctx, stop := untilSignal(exitAtOnce)
			defer stop()
			return service.NodeHost(ctx, service.NodeHostConfig{Settings: set, Version: buildinfo.Read().Version, Log: childLogger(set.Log, set.HostName, "nodehost")})
		},
	}
}
