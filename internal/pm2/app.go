package pm2

import (
	"cmp"
	"maps"
	"regexp"
	"strings"
)

// App is one app of a process file, with all defaults filled in. Without a file, begin with [Default]:
// the zero value isn't PM2's default.
type App struct {
	// Name is what commands call the app by. Several apps may share one: commands then act on all of them. Default: the
	// script's file name without its extension.
	Name string `json:"name"`

	// Namespace groups apps for commands. Default: "default".
	Namespace string `json:"namespace"`

	// Script is the absolute path of the program or script.
	Script string `json:"script"`

	// Static says that the app serves a folder: Script is the loader's Program, which gets Args. PM2
	// calls it `script: "serve"`. Default: false.
	Static bool `json:"static,omitempty"`

	// Args are the script's arguments.
	Args []string `json:"args,omitempty"`

	// Cwd is the absolute working directory. Default: that of the command that started the app.
	Cwd string `json:"cwd"`

	// Interpreter runs the script: a program's name or path, "none" for a script that runs by itself. Default: by the
	// script's extension, "none" for programs, else "node".
	Interpreter string `json:"interpreter"`

	// NodeArgs are arguments of the interpreter, before the script.
	NodeArgs []string `json:"node_args,omitempty"`

	// ExecMode is [Cluster] or [Fork]. Default: Cluster for Node scripts with a number of instances, else Fork.
	ExecMode ExecMode `json:"exec_mode"`

	// SharePort gives each process of a program that isn't Node a port of its own, in PORT, and has
	// them share a public one. Instances above 1 do the same. Default: true if the file says
	// exec_mode cluster for such a program, which PM2 doesn't know.
	SharePort bool `json:"share_port,omitempty"`

	// Instances is the number of processes. Zero means one for each core; a negative number means
	// that many fewer than cores. [App.Count] resolves it. Default: 1.
	Instances int `json:"instances"`

	// Env is the whole environment of the app's processes, without what the daemon adds for each of them.
	Env map[string]string `json:"env"`

	// Stages are the environments by stage: env_production of the file is Stages["production"]. Env
	// already contains the one that `--env` chose.
	Stages map[string]map[string]string `json:"stages,omitempty"`

	// FilterEnv drops variables of the command's shell from Env: those whose names contain one of these texts. The empty
	// text is in every name; PM2's `true` is [""].
	FilterEnv []string `json:"filter_env,omitempty"`

	// Port becomes PORT of all processes; 0: not set.
	Port int `json:"port,omitempty"`

	// InstanceVar names the variable with the instance's number, from 0. Default: NODE_APP_INSTANCE.
	InstanceVar string `json:"instance_var"`

	// IncrementVar names a variable that grows by one with each instance, from its number in Env, or 0. Empty: none.
	IncrementVar string `json:"increment_var,omitempty"`

	// Autostart starts the app with `start` and `resurrect`. Without it the app is listed as stopped.
	// Default: true.
	Autostart bool `json:"autostart"`

	// Autorestart starts a process again that ended by itself, whatever its exit code. Default: true.
	Autorestart bool `json:"autorestart"`

	// StopExitCodes are exit codes that count as a wanted end: no restart.
	StopExitCodes []int `json:"stop_exit_codes,omitempty"`

	// MaxRestarts is how many unstable ends in a row make a process `errored`, which is not started again. An end is
	// unstable that came within MinUptime; with 0, none is. Defaults: 16, 1 s.
	MaxRestarts int      `json:"max_restarts"`
	MinUptime   Duration `json:"min_uptime"`

	// RestartDelay is the wait before each automatic restart. Default: 0.
	RestartDelay Duration `json:"restart_delay"`

	// ExpBackoffRestartDelay is the first wait before an automatic restart; each further one is 1.5 times as long, up to 15 s,
	// and a process that stayed up for 30 s begins anew. It wins over RestartDelay. Default: 0, off.
	ExpBackoffRestartDelay Duration `json:"exp_backoff_restart_delay"`

	// MaxMemoryRestart is the resident memory, in bytes, above which a process is reloaded. Default:
	// 0, no limit.
	MaxMemoryRestart int64 `json:"max_memory_restart,omitempty"`

	// KillTimeout is the time from the stop signal to SIGKILL. Default: 1.6 s.
	KillTimeout Duration `json:"kill_timeout"`

	// KillRetryTime is how often PM2 checks whether a process has ended. The daemon learns at once and
	// keeps the value for `jlist`. Default: 100 ms.
	KillRetryTime Duration `json:"kill_retry_time"`

	// StopSignal is the signal that asks a process to end: PM2_KILL_SIGNAL of the command's environment. Default: SIGINT.
	StopSignal string `json:"stop_signal"`

	// ShutdownWithMessage asks Node processes to end with the message "shutdown" in place of a signal. Default: false.
	ShutdownWithMessage bool `json:"shutdown_with_message"`

	// TreeKill extends a stop to the processes that the process has started. Default: true.
	TreeKill bool `json:"treekill"`

	// WaitReady delays "online" until the process sends the message "ready", or ListenTimeout is over.
	// Defaults: false, 3 s.
	WaitReady     bool     `json:"wait_ready"`
	ListenTimeout Duration `json:"listen_timeout"`

	// Watch are absolute paths. A change below them restarts all processes of the app's name after
	// WatchDelay. Empty: off. PM2's `true` is Cwd.
	Watch []string `json:"watch,omitempty"`

	// IgnoreWatch excludes files from Watch. Default: names that begin with a dot, and node_modules.
	IgnoreWatch []Pattern `json:"ignore_watch,omitempty"`

	// WatchDelay is the time from a change to the restart, which covers further changes meanwhile.
	// Default: 0.
	WatchDelay Duration `json:"watch_delay"`

	// WatchOptions are the chokidar options of the file, as written. Of these only followSymlinks makes a difference here.
	WatchOptions map[string]any `json:"watch_options,omitempty"`

	// CronRestart is when to restart the app, stopped or not: five or six fields, or a name like @hourly. Empty: never.
	CronRestart string `json:"cron_restart,omitempty"`

	// OutFile, ErrorFile and LogFile are absolute paths of the processes' output, errors and both together. [LogOff] for none.
	// Empty: <name>-out.log and <name>-error.log in the logs folder; no file for both together.
	OutFile   string `json:"out_file,omitempty"`
	ErrorFile string `json:"error_file,omitempty"`
	LogFile   string `json:"log_file,omitempty"`

	// MergeLogs says that the instances of the app share their log files. Otherwise each file whose name ends with .log has -<id>
	// before that.
	// Default: true in fork mode without a number of instances, or max; else false.
	MergeLogs bool `json:"merge_logs"`

	// LogDateFormat is the format of the date before each line, in day.js' letters. Empty: no date. PM2's `time: true` is
	// YYYY-MM-DDTHH:mm:ss.
	LogDateFormat string `json:"log_date_format,omitempty"`

	// LogType is "json" for log files of JSON objects, one for each line of output. Empty: as the app wrote it.
	LogType string `json:"log_type,omitempty"`

	// DisableLogs turns all log files off. Default: false.
	DisableLogs bool `json:"disable_logs,omitempty"`

	// PIDFile is the absolute path of the file with a process' id; it gets -<id> before .pid. Empty: <name>-<id>.pid in
	// the pids folder.
	PIDFile string `json:"pid_file,omitempty"`

	// UID and GID are the user and group of the processes, as names or numbers. Only root may set
	// them. Empty: the daemon's.
	UID string `json:"uid,omitempty"`
	GID string `json:"gid,omitempty"`
}

// ExecMode says how an app's processes share a port.
type ExecMode string

// The modes, by the names that PM2 writes and prints. Files may also say `cluster` and `fork`.
const (
	Cluster ExecMode = "cluster_mode" // Node's cluster: workers of one primary
	Fork    ExecMode = "fork_mode"    // processes of their own
)

// LogOff turns a log file off.
const LogOff = "/dev/null"

// Default returns an app with PM2's defaults, without a script and a name.
func Default() App {
	return App{
		Namespace: "default", Interpreter: "node", ExecMode: Fork, Instances: 1, InstanceVar: "NODE_APP_INSTANCE",
		Autostart: true, Autorestart: true, MaxRestarts: 16, MinUptime: milliseconds(1000),
		KillTimeout: milliseconds(1600), KillRetryTime: milliseconds(100), StopSignal: "SIGINT", TreeKill: true,
		ListenTimeout: milliseconds(3000), MergeLogs: true, IgnoreWatch: defaultIgnored(),
	}
}

// Count returns the number of processes on a machine with so many cores, at least 1.
func (a *App) Count(cores int) int {
	if a.Instances > 0 {
		return a.Instances
	}
	return max(cores+a.Instances, 1)
}

// InterpreterPath returns the interpreter as a path, if the PATH of the app's own environment has it:
// that may name another one than this process's, as a virtual environment of Python does.
func (a *App) InterpreterPath() string {
	own := Loader{Dir: a.Cwd, Environ: []string{"PATH=" + a.Env["PATH"]}}
	return cmp.Or(own.lookPath(a.Interpreter), a.Interpreter)
}

// Filtered returns the variables of a shell that the app may see.
func (a *App) Filtered(shell map[string]string) map[string]string {
	kept := maps.Clone(shell)
	maps.DeleteFunc(kept, func(name, _ string) bool {
		for _, part := range a.FilterEnv {
			if strings.Contains(name, part) {
				return true
			}
		}
		return false
	})
	return kept
}

var notInFileNames = regexp.MustCompile(`[^a-zA-Z0-9.-]`)

// FileName returns an app's name as its log and pid files have it: my_api is my-api there.
func FileName(name string) string { return notInFileNames.ReplaceAllString(name, "-") }
