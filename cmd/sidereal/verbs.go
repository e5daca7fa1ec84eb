package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// instead has PM2's verbs that Sidereal doesn't have, and their replacements.
var instead = []struct {
	verbs []string
	use   string
}{
	{[]string{"sysmonit"}, "`sidereal monit`, `sidereal list`, `sidereal logs` and the status page at the admin address show the same; /metrics is for Prometheus"},
	{[]string{"slist", "sysinfos"}, "use `sidereal jlist` in programs, and read `sidereal describe`"},
	{[]string{"attach"}, "`sidereal logs <id>` follows its output, and `sidereal send <id> <text>` sends it a message"},
	{[]string{"deploy", "setup"}, "copy the files with the tool of your choice, then `sidereal startOrReload ecosystem.config.js`"},
	{[]string{"pull", "forward", "backward", "deepUpdate"}, "`git pull` (or checkout), then `sidereal reload <name>`"},
	{[]string{"install", "uninstall", "module:install", "module:uninstall", "module:update", "module:generate", "publish", "module:publish", "package"},
		"only PM2 has modules. Log rotation, metrics and restarts are built in"},
	{[]string{"set", "multiset", "get", "conf", "unset", "autoinstall"}, "settings are environment variables; `sidereal config` prints them"},
	{[]string{"link", "unlink", "plus", "login", "register", "logout", "open", "web", "monitor", "unmonitor"}, "there is no cloud service. Your Prometheus can read /metrics at the admin address"},
	{[]string{"profile:cpu", "profile:mem", "profile", "inspect", "trigger"}, "start the app with --node-args=--inspect and use Node's inspector"},
	{[]string{"report"}, "`sidereal check`, `sidereal describe` and `sidereal logs` have what a report needs"},
	{[]string{"logrotate"}, rotates},
	{[]string{"gc", "snapshot"}, "use Node's inspector: --node-args=--inspect"},
}

// insteadCommands makes the commands for these verbs.
func insteadCommands() (commands []*cobra.Command) {
	for _, i := range instead {
		for _, verb := range i.verbs {
			commands = append(commands, &cobra.Command{
				Use: verb, Hidden: true, DisableFlagParsing: true,
				RunE: func(cmd *cobra.Command, args []string) error {
					if aboutRotation(verb, args) { // scripts go on
						fmt.Fprintf(cmd.ErrOrStderr(), "%s: not needed: %s\n", calledAs(), rotates)
						return nil
					}
					return fmt.Errorf("no command %s here: %s", verb, i.use)
				},
			})
		}
	}
	return commands
}

const rotates = "log files rotate by themselves; SIDEREAL_LOG_MAX_MB, SIDEREAL_LOG_KEEP and SIDEREAL_LOG_MAX_AGE set how"

// aboutRotation reports whether a command only installs or configures pm2-logrotate, as many deploy
// scripts do.
func aboutRotation(verb string, args []string) bool {
	switch verb {
	case "install", "module:install", "set", "unset", "uninstall", "module:uninstall":
		return len(args) > 0 && (args[0] == "pm2-logrotate" || strings.HasPrefix(args[0], "pm2-logrotate:") || strings.HasPrefix(args[0], "pm2-logrotate@"))
	case "logrotate":
		return true
	}
	return false
}
