package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/fileserver"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// serveCommand makes the command that serves a folder, as an app of the daemon.
func serveCommand() *cobra.Command {
	s := &starter{}
	var site pm2.Site
	port := ""
	cmd := starting(&cobra.Command{
		Use: "serve [folder] [port]", Short: "Serve a folder of files over HTTP", Aliases: []string{"expose"}, Args: takes(0, 2),
		Long: `Serve a folder of files over HTTP, as an app in the background: by default this folder, at port 8080.

The server lists no folders, and refuses names that begin with a dot, except .well-known. With --spa, unknown paths get
/index.html. In a process file, the script "serve" does the same; PM2_SERVE_PATH, PM2_SERVE_PORT and the like are its
settings, and win over arguments here, too.`,
		Example:           "  sidereal serve dist 3000 --spa --name shop",
		ValidArgsFunction: completeFiles,
	}, s, func(ctx context.Context, args, _ []string) error {
		args = append(args, "", "")
		do, err := s.site(site, cmp.Or(os.Getenv("PM2_SERVE_PATH"), args[0], "."), cmp.Or(os.Getenv("PM2_SERVE_PORT"), args[1], port, "8080"))
		if err != nil {
			return err
		}
		return s.carryOut(ctx, []step{do})
	})
	f := cmd.Flags()
	f.StringVar(&port, "port", "", "`port` to listen at")
	f.BoolVar(&site.SPA, "spa", false, "answer unknown paths with /index.html")
	f.StringVar(&site.Username, "basic-auth-username", "", "`name` that clients must give")
	f.StringVar(&site.Password, "basic-auth-password", "", "`password` that clients must give")
	f.BoolVarP(&s.force, "force", "f", false, "start the app even if it runs already")
	f.String("monitor", "", "accepted, and not used")
	f.Lookup("monitor").Hidden = true
	return cmd
}

// site returns the step that starts the server of a folder.
func (s *starter) site(site pm2.Site, folder, port string) (do step, err error) {
	if site.Port, err = strconv.Atoi(port); err != nil || site.Port < 1 || site.Port > 65535 {
		return do, usageError("the port must be between 1 and 65535, not " + port)
	}
	if (site.Username == "") != (site.Password == "") {
		return do, usageError("--basic-auth-username and --basic-auth-password go together")
	}
	if site.Folder, err = filepath.Abs(folder); err != nil {
		return do, err
	}
	if info, err := os.Stat(site.Folder); err != nil || !info.IsDir() {
		return do, fmt.Errorf("%s isn't a folder", site.Folder)
	}
	loader, err := s.loader()
	if err != nil {
		return do, err
	}
	r, err := loader.Static(site)
	if err != nil {
		return do, err
	}
	mode := daemon.StartNew
	if s.force {
		mode = daemon.StartForce
	}
	return s.starting(r, mode), nil
}

// fileServerCommand makes the command of the processes that serve a folder.
func fileServerCommand() *cobra.Command {
	return &cobra.Command{
		Use: daemon.FileServer + " [folder] [port] [host]", Hidden: true, Args: takes(0, -1),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := fileserver.FromEnv(os.Getenv, args)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return exitCode(config.ExitUsage)
			}
			ctx, stop := untilSignal(exitAtOnce)
			defer stop()
			return fileserver.Run(ctx, cfg, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil)))
		},
	}
}
