//go:build e2e && linux

package pm2compare

import (
	"regexp"
	"slices"
)

// scenario says what happens with the process file of a case. Without one, the file is started.
type scenario struct {
	env     []string // more of it, for the commands
	steps   []step
	differs []difference
	quiet   bool // the processes have no log files
	alone   bool // nothing needs a port
}

// step is a command, and a state that is awaited after it.
type step struct {
	args  []string // FILE stands for the process file
	until func([]record) bool
}

// difference is one that docs/from-pm2.md tells.
type difference struct {
	at  string // a regular expression
	row string // the row's beginning
}

const jlistRow = "| `jlist` |"

// everywhere are the differences of all cases.
var everywhere = []difference{
	{`jlist/(kill_timeout: nothing with PM2, 1600|listen_timeout: nothing with PM2, 3000|max_restarts: nothing with PM2, 16|min_uptime: nothing with PM2, 1000|` +
		`(exp_backoff_)?restart_delay: nothing with PM2, 0|(shutdown_with_message|wait_ready|watch|merge_logs): nothing with PM2, false) with Sidereal`, jlistRow}, // defaults
	{`jlist/(automation|pmx|vizion): true with PM2, false with Sidereal`, jlistRow},
	{`jlist/(node_version|_pm2_version|PM2_JSON_PROCESSING|PM2_USAGE|SILENT|prev_restart_delay|updateEnv|script|filter_env|cwd|port|env_\w+|` +
		`append_env_to_name|disable_logs|cron_restart)\b.* nothing with Sidereal`, jlistRow}, // PM2's own notes
	{`jlist/.*: "\{\}" with PM2, nothing with Sidereal`, jlistRow}, // a variable of the app's name
	{`jlist/exec_interpreter: "\./[^"]*" with PM2, "<dir>/`, jlistRow},
	{`jlist/exec_interpreter: "/.*/node" with PM2, "node" with Sidereal`, jlistRow},
	{`jlist/args: \[\] with PM2, nothing with Sidereal`, jlistRow},
	{`jlist/args: \[.*\d.*\] with PM2`, jlistRow}, // and arguments
	{`env of jlist/[^/]*: nothing with PM2, `, jlistRow},
	{`jlist/merge_logs: true with PM2, false with Sidereal`, jlistRow},
	{`jlist/(v8|trace|post_update|force|event_loop_inspector): .* nothing with Sidereal`, "| `source_map_support`"},
	{`PWD: "[^/][^"]*" with PM2, "<|PWD: "[^"]*\.\." with PM2, "<parent>`, "| `cwd: "},
	{`report/main: ".*/ProcessContainer(Fork)?\.js" with PM2, nothing`, "| `require.main`"},
	{`report/env/(SILENT|WORKER_ID)`, "| workers' environment"},
	{`report/env/NODE_CHANNEL_\w+: .* nothing with Sidereal`, "| workers' environment"},
	{`report/execArgv: .*preload.cjs`, "| workers' environment"},
}

// documented reports whether a difference is among those of the page.
func documented(found string, rows []difference) bool {
	return slices.ContainsFunc(rows, func(d difference) bool { return regexp.MustCompile(d.at).MatchString(found) })
}

// restarted awaits a count of restarts of all processes.
func restarted(n int) func([]record) bool {
	return func(list []record) bool {
		return !slices.ContainsFunc(list, func(r record) bool { return r.number("restart_time") < n })
	}
}

// in awaits a status of all processes.
func in(status string) func([]record) bool {
	return func(list []record) bool {
		return !slices.ContainsFunc(list, func(r record) bool { return r.status() != status })
	}
}

func do(args ...string) step { return step{args: args} }

// failsToo: `start` of an app that ends with an error fails.
var failsToo = []difference{{`^/failed: false with PM2, true`, "| exit codes |"}}

var production = []step{do("start", "FILE", "--env", "production")}

var scenarios = map[string]scenario{
	"stages":         {steps: production},
	"stage-missing":  {steps: production},
	"deploy":         {steps: production},
	"append-env":     {steps: production},
	"yaml":           {steps: production},
	"ends-well":      {steps: []step{{[]string{"start", "FILE"}, in("stopped")}}},
	"ends-badly":     {steps: []step{{[]string{"start", "FILE"}, in("stopped")}}, differs: failsToo},
	"ends-again":     {steps: []step{{[]string{"start", "FILE"}, in("errored")}}, differs: failsToo},
	"ends-as-wanted": {steps: []step{{[]string{"start", "FILE"}, in("stopped")}}, differs: failsToo},
	"lifecycle": {steps: []step{do("start", "FILE"), {[]string{"restart", "lifecycle"}, restarted(1)}, {[]string{"reload", "lifecycle"}, restarted(2)},
		do("stop", "lifecycle"), do("start", "lifecycle"), do("reset", "lifecycle"), do("delete", "lifecycle")}},
	"lifecycle-fork": {steps: []step{do("start", "FILE"), {[]string{"restart", "lifecycle-fork"}, restarted(1)}, {[]string{"reload", "lifecycle-fork"}, restarted(2)},
		do("stop", "lifecycle-fork"), do("restart", "lifecycle-fork"), do("restart", "nosuchapp"), do("delete", "nosuchapp"), do("delete", "lifecycle-fork")}},
	"scaled": {steps: []step{do("start", "FILE"), do("scale", "scaled", "3"), do("scale", "scaled", "+1"), do("scale", "scaled", "2")},
		differs: []difference{{`jlist/instances: 1 with PM2, \d`, jlistRow}, {`NODE_APP_INSTANCE: "?[23]"? with PM2, "?[01]"? with Sidereal`, "| `scale`"}}},
	"several":     {steps: []step{do("start", "FILE", "--only", "several-a,several-c"), do("start", "FILE"), do("stop", "several"), do("delete", "FILE")}},
	"again":       {steps: []step{do("start", "FILE"), {[]string{"start", "FILE"}, restarted(1)}, {[]string{"startOrRestart", "FILE"}, restarted(2)}, {[]string{"startOrReload", "FILE"}, restarted(3)}}},
	"stop-signal": {env: []string{"PM2_KILL_SIGNAL=SIGTERM"}, steps: []step{do("start", "FILE"), do("stop", "stop-signal")}},
	"command-line": {alone: true, steps: []step{
		do("start", "report.js", "--name", "command-line-1", "--", "a", "--b", "c d"),
		do("start", "node report.js x", "--name", "command-line-2", "--no-autorestart", "--max-memory-restart", "300M"),
		do("start", "report.sh", "--name", "command-line-3", "--interpreter", "bash", "--restart-delay", "200", "--time"),
		do("start", "command-line-1"), do("start", "nosuch.js"),
	}},
	"command-line-cluster": {steps: []step{
		do("start", "report.js", "-n", "command-line-cluster", "-i", "2", "--node-args=--no-warnings", "-o", "out.log", "-e", "err.log", "--merge-logs"),
	}},
	"config-argv":               {steps: []step{do("start", "FILE", "--", "with-worker")}},
	"cron-ends":                 {steps: []step{{[]string{"start", "FILE"}, in("stopped")}}},
	"everything":                {steps: production},
	"script-parent":             {steps: []step{do("start", "deploy/pm2.config.js")}},
	"shutdown-message":          {steps: []step{do("start", "FILE"), do("stop", "shutdown-message")}},
	"programs":                  {alone: true, differs: []difference{{`PORT: nothing with PM2`, "| `instances: 2` of a program"}}},
	"program-without-extension": {alone: true},
	"bash-command":              {alone: true},
	"bash-list":                 {alone: true},
	"bash-source":               {alone: true},
	"bash-quotes":               {alone: true},
	"json-program":              {alone: true},
	"npm-cluster":               {alone: true, quiet: true, differs: []difference{{`^/[01] npm-cluster/(logs|report|jlist/(exec_mode|instances|PORT))`, "| `exec_mode: \"cluster\"` for npm"}}},
	"npm-node":                  {alone: true},
	"npx":                       {alone: true},
	"node-as-script":            {alone: true},
	"venv":                      {alone: true},
	"venv-in-cwd":               {alone: true, differs: []difference{{`^/`, "| `interpreter` |"}}},
	"tool-missing":              {alone: true},
	"command-and":               {alone: true},
	"shell-absolute":            {alone: true},
	"esm-default":               {differs: []difference{{`^/`, "| `export default`"}}},
	"watch-dot":                 {differs: []difference{{`jlist/watch: "." with PM2, true`, jlistRow}}},
	"program":                   {env: []string{"PATH=bin:/usr/bin:/bin"}, alone: true},
	"python":                    {alone: true},
	"python-by-extension":       {alone: true},
	"shell":                     {alone: true},
	"shell-by-itself":           {alone: true},
	"shell-interpreter":         {alone: true},
	"command":                   {alone: true},
	"npm-run":                   {alone: true},
	"interpreter-none-node":     {alone: true},
	"logs-disabled":             {quiet: true, differs: []difference{{`jlist/pm_(out|err)_log_path: .* "/dev/null" with Sidereal`, "| `disable_logs`"}}},
	"filter-env-all":            {differs: []difference{{`/(TZ|SHELL|LANG|HOME|FROM_SHELL): .* nothing with Sidereal|jlist/filter_env`, "| `filter_env: true`"}}},
	"twice":                     {differs: []difference{{`NODE_APP_INSTANCE: "?0"? with PM2, "?1"? with Sidereal`, "| two apps of one name"}}},
}
