package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/node"
	"github.com/sidereal-io/sidereal/internal/processview"
)

// moduleMark is the file by which we recognize a folder with our module.
const moduleMark = ".sidereal"

// moduleCommand makes PM2's module for scripts that run outside of the daemon.
func moduleCommand() *cobra.Command {
	return &cobra.Command{
		Use: "module <folder>", Short: "Write the Node module pm2 for scripts into a folder", Args: takes(1, 1),
		Long: `Write a Node module that answers require("pm2") by calling this program. Apps that Sidereal runs have it anyway.
The folder becomes the module's package. Name it node_modules/pm2, or any folder for ` + "`npm install ./folder`" + `.`,
		Example: "  sidereal module vendor/pm2 && npm install --ignore-scripts ./vendor/pm2",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := writeModule(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s has the module pm2; it calls sidereal, which must be in PATH\n", args[0])
			return err
		},
	}
}

// writeModule writes the module into a folder that is new, empty or of an earlier call.
func writeModule(folder string) error {
	there, err := os.ReadDir(folder)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, moduleMark)); len(there) > 0 && err != nil {
		return fmt.Errorf("%s has other files: remove the folder, or name another one", folder)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	about := map[string]any{"name": "pm2", "version": "6.0.14-sidereal", "description": "PM2's calls, by Sidereal", "main": "index.js", "private": true}
	text, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{moduleMark: nil, "package.json": append(text, '\n'), "index.js": node.PM2Module} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// busCommand follows PM2's bus, for the module: an object a line, the first of which is empty. It
// starts the daemon where there is none, as PM2 does.
func busCommand() *cobra.Command {
	s := &starter{}
	return starting(&cobra.Command{Use: "bus", Short: "Print the events of PM2's bus as JSON", Args: takes(0, 0)}, s, func(ctx context.Context, _, _ []string) error {
		s.silent = true // but for events
		client, err := s.ensure(ctx)
		if err != nil {
			return err
		}
		defer client.Close()
		return client.Bus(ctx, func() error {
			_, err := fmt.Fprintln(s.out, "{}")
			return err
		}, func(e daemon.BusEvent) error { return processview.Bus(s.out, &e) })
	})
}

// messageCommand sends processes a message of the standard input, for the module.
func messageCommand() *cobra.Command {
	return talkCommand(&cobra.Command{Use: "message <id | name>", Short: "Send Node processes the JSON of the standard input as a message", Args: takes(1, 1)},
		func(ctx context.Context, c *control, args []string) error {
			text, err := io.ReadAll(io.LimitReader(os.Stdin, maxMessage+1))
			if err != nil {
				return err
			}
			if len(text) > maxMessage {
				return usageError(fmt.Sprintf("the message has more than %d bytes", maxMessage))
			}
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			defer client.Close()
			return client.Act(ctx, daemon.Action{Verb: daemon.Message, Targets: args, Message: text}, c.happened())
		})
}

// maxMessage is less than a line to a node host may have.
const maxMessage = 512 << 10
