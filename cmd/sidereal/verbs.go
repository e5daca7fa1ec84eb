package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// instead has PM2's verbs that Sidereal doesn't have, and their replacements.
var instead = []struct {
	verbs []string
	use   string
}{
	{[]string{"sysmonit"}, "`sidereal monit`, `sidereal list`, `sidereal logs` and the status page at the admin address show the same; /metrics is for Prometheus"},
	{[]string{"prettylist", "slist", "sysinfos"}, "use `sidereal jlist` in programs, and read `sidereal describe`"},
	{[]string{"attach"}, "`sidereal logs <id>` follows its output, and `sidereal send <id> <text>` sends it a message"},
	{[]string{"update", "updatePM2"}, "`sidereal save`, `sidereal kill` and, with the new version, `sidereal resurrect`"},
	{[]string{"deploy", "setup"}, "copy the files with the tool of your choice, then `sidereal startOrReload ecosystem.config.js`"},
	{[]string{"pull", "forward", "backward", "deepUpdate"}, "`git pull` (or checkout), then `sidereal reload <name>`"},
	{[]string{"install", "uninstall", "module:install", "module:uninstall", "module:update", "module:generate", "publish", "module:publish", "package"},
		"only PM2 has modules. Log rotation, metrics and restarts are built in"},
	{[]string{"set", "multiset", "get", "conf", "unset", "autoinstall"}, "settings are environment variables; `sidereal config` prints them"},
	{[]string{"link", "unlink", "plus", "login", "register", "logout", "open", "web", "monitor", "unmonitor"}, "there is no cloud service. Your Prometheus can read /metrics at the admin address"},
	{[]string{"profile:cpu", "profile:mem", "profile", "inspect", "trigger"}, "start the app with --node-args=--inspect and use Node's inspector"},
	{[]string{"report"}, "`sidereal check`, `sidereal describe` and `sidereal logs` have what a report needs"},
	{[]string{"logrotate"}, "Sidereal rotates log files itself; after your own tool has moved them, run `sidereal reloadLogs`"},
	{[]string{"gc", "snapshot"}, "use Node's inspector: --node-args=--inspect"},
}

// insteadCommands makes the commands for these verbs.
func insteadCommands() (commands []*cobra.Command) {
	for _, i := range instead {
		for _, verb := range i.verbs {
			commands = append(commands, &cobra.Command{
				Use: verb, Hidden: true, DisableFlagParsing: true,
				RunE: func(*cobra.Command, []string) error {
					return fmt.Errorf("no command %s here: %s", verb, i.use)
				},
			})
		}
	}
	return commands
}
