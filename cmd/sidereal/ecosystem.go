package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
)

const ecosystemFile = "ecosystem.config.js"

// ecosystem is an example of a process file.
const ecosystem = `module.exports = {
  apps: [{
    name: "app",
    script: "./worker.js",
    instances: "max", // one process per core; they share the port, and sessions stay with their process
    exec_mode: "cluster",
    max_memory_restart: "300M",
    env: {
      NODE_ENV: "development",
    },
    env_production: { // with --env production
      NODE_ENV: "production",
    },
  }],
};
`

// simpleEcosystem is the shortest one.
const simpleEcosystem = `module.exports = {
  apps: [{
    name: "app",
    script: "./worker.js",
  }],
};
`

func ecosystemCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ecosystem [simple]", Aliases: []string{"init"}, Short: "Write an " + ecosystemFile + " as an example; also init",
		Args: cobra.MatchAll(takes(0, 1), cobra.OnlyValidArgs), ValidArgs: []string{"simple"},
		RunE: func(cmd *cobra.Command, args []string) error {
			text := ecosystem
			if len(args) > 0 {
				text = simpleEcosystem
			}
			f, err := os.OpenFile(ecosystemFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s exists; it is unchanged", ecosystemFile)
			}
			if err != nil {
				return err
			}
			if _, err := f.WriteString(text); err != nil {
				f.Close()
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Wrote %s. Name your script in it, then: %s start\n", ecosystemFile, calledAs())
			return f.Close()
		},
	}
}

// examples has the command lines that people need first; %[1]s is the name of this program.
const examples = `Start an app, and name it:
  %[1]s start app.js --name api

Start a process per core, which share the port:
  %[1]s start app.js -i max

List, stop, start again, restart and remove:
  %[1]s list
  %[1]s stop api
  %[1]s start api
  %[1]s restart api
  %[1]s delete api

Replace the processes one by one, without an interruption:
  %[1]s reload api

Read the output:
  %[1]s logs api --lines 100

Start everything again after a boot:
  %[1]s save
  %[1]s startup
`

func examplesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "examples", Short: "Print examples of command lines", Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), examples, calledAs())
			return err
		},
	}
}
