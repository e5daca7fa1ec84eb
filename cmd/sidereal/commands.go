package main

import (
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// The groups of commands in the help.
const (
	groupRun  = "run"
	groupLook = "look"
	groupKeep = "keep"
	groupHost = "host"
)

// addCommands adds all commands.
func addCommands(root *cobra.Command) {
	cobra.EnableCommandSorting = false // the most used come first
	root.AddGroup(&cobra.Group{ID: groupRun, Title: "Run apps:"}, &cobra.Group{ID: groupLook, Title: "Inspect apps:"},
		&cobra.Group{ID: groupKeep, Title: "Keep apps running:"}, &cobra.Group{ID: groupHost, Title: "Hosts and the cluster:"})
	add(root, groupRun,
		startCommand(), serveCommand(), targetsCommand("stop", "Stop processes and keep them in the list", daemon.Stop), restartCommand(), reloadCommand("reload"),
		scaleCommand(), targetsCommand("delete", "Stop processes and remove them from the list; also del", daemon.Delete, "del"),
		startOrCommand("startOrRestart", "restart", daemon.StartRestart), startOrCommand("startOrReload", "reload", daemon.StartReload),
		sendCommand(), moduleCommand(), signalCommand(), resetCommand(), ecosystemCommand())
	add(root, groupLook,
		listCommand(), monitCommand(), topCommand(), logsCommand(), describeCommand(), jlistCommand(), prettyListCommand(), envCommand(), idCommand(), pidCommand(),
		everythingCommand("flush", "Empty log files", "log files are empty", daemon.Flush),
		everythingCommand("reloadLogs", "Reopen log files, after a tool has moved them", "log files are open anew", daemon.ReloadLogs))
	add(root, groupKeep, saveCommand(), clearDumpCommand(), resurrectCommand(), startupCommand(), unstartupCommand(), updateCommand(), killCommand(), pingCommand())
	add(root, groupHost, upCommand(), routerCommand(), workerCommand(), apiCommand(), healthcheckCommand(), checkCommand(), emitCommand(), clusterCommand(), traceCommand(), whyCommand(), rebalanceCommand(), benchCommand(), configCommand(), versionCommand())
	root.SetHelpCommandGroupID(groupHost)
	root.SetCompletionCommandGroupID(groupHost)
	root.AddCommand(redisCommand(), nodehostCommand(), fileServerCommand(), daemonCommand(), runtimeCommand(), hidden(examplesCommand()), hidden(busCommand()), hidden(messageCommand()), hidden(reloadCommand("gracefulReload")),
		hidden(startOrCommand("startOrGracefulReload", "reload", daemon.StartReload)))
	for _, c := range root.Commands() {
		if isProcessCommand(c) {
			pm2.AddAccepted(c.Flags())
		}
	}
	root.AddCommand(insteadCommands()...)
}

func add(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
	}
	root.AddCommand(commands...)
}

func hidden(c *cobra.Command) *cobra.Command {
	c.Hidden = true
	return c
}

// arguments returns the arguments for a call by one of our names. pm2-runtime is a command of its
// own, and a copy of that name also starts its services by it.
func arguments(name string, args []string) []string {
	service := len(args) > 0 && os.Getenv("SIDEREAL_SUPERVISOR_FD") != "" && slices.Contains([]string{"redis", "router", "api", "nodehost", "worker"}, args[0])
	service = service || len(args) > 0 && args[0] == daemon.FileServer
	switch name {
	case "pm2-runtime", "pm2-docker":
		if !service {
			return append([]string{"runtime"}, args...)
		}
	}
	return args
}

// rearranged brings the arguments of process commands into the form that the parser reads.
func rearranged(root *cobra.Command, args []string) []string {
	args = behindVerb(root, args)
	if len(args) > 1 && args[0] == "up" {
		args = upOrStart(root, args)
	}
	cmd, _, err := root.Find(args)
	if err != nil || cmd == root || !isProcessCommand(cmd) {
		return args
	}
	for i, arg := range args {
		if arg == cmd.CalledAs() || arg == cmd.Name() || cmd.HasAlias(arg) {
			return append(slices.Clone(args[:i+1]), pm2.Rearrange(args[i+1:], cmd.Flags())...)
		}
	}
	return args
}
