package pm2

import (
	"fmt"
	"strings"
	"unicode"
)

// field is a field of process files.
type field struct {
	name    string
	aliases []string
	types   []string // as typeOf names them, for the message
	set     func(*settler, *App, value) error
}

// wrongType reports that a value has the wrong type for its field.
type wrongType struct{}

func (wrongType) Error() string { return "wrong type" }

// The fields, in the order in which they are set.
var allFields = []field{
	{"script", []string{"exec", "cmd", "command"}, aText, setText(func(a *App) *string { return &a.Script })},
	{"name", nil, aText, setText(func(a *App) *string { return &a.Name })},
	{"namespace", nil, aText, setText(func(a *App) *string { return &a.Namespace })},
	{"cwd", nil, aText, setText(func(a *App) *string { return &a.Cwd })},
	{"args", nil, aList, setWords(func(a *App) *[]string { return &a.Args })},
	{"node_args", []string{"interpreter_args"}, aList, setWords(func(a *App) *[]string { return &a.NodeArgs })},
	{"interpreter", []string{"exec_interpreter"}, aText, (*settler).setInterpreter},
	{"instances", nil, aCount, (*settler).setInstances},
	{"exec_mode", nil, aText, (*settler).setMode},
	{"env", nil, anEnv, (*settler).setEnv},
	{"port", nil, aNumber, (*settler).setPort},
	{"filter_env", nil, aFilter, (*settler).setFilter},
	{"instance_var", nil, aText, setText(func(a *App) *string { return &a.InstanceVar })},
	{"increment_var", nil, aText, setText(func(a *App) *string { return &a.IncrementVar })},
	{"autostart", nil, aBool, setBool(func(a *App) *bool { return &a.Autostart })},
	{"autorestart", nil, aBool, setBool(func(a *App) *bool { return &a.Autorestart })},
	{"stop_exit_codes", nil, aCodes, (*settler).setExitCodes},
	{"max_restarts", nil, aNumber, (*settler).setMaxRestarts},
	{"min_uptime", nil, aSpan, setSpan(func(a *App) *Duration { return &a.MinUptime })},
	{"restart_delay", nil, aNumber, setMillis(func(a *App) *Duration { return &a.RestartDelay })},
	{"exp_backoff_restart_delay", nil, aNumber, setMillis(func(a *App) *Duration { return &a.ExpBackoffRestartDelay })},
	{"max_memory_restart", nil, aSize, (*settler).setMemory},
	{"kill_timeout", nil, aNumber, setMillis(func(a *App) *Duration { return &a.KillTimeout })},
	{"kill_retry_time", nil, aNumber, setMillis(func(a *App) *Duration { return &a.KillRetryTime })},
	{"stop_signal", nil, aText, setText(func(a *App) *string { return &a.StopSignal })},
	{"shutdown_with_message", nil, aBool, setBool(func(a *App) *bool { return &a.ShutdownWithMessage })},
	{"treekill", nil, aBool, setBool(func(a *App) *bool { return &a.TreeKill })},
	{"wait_ready", nil, aBool, setBool(func(a *App) *bool { return &a.WaitReady })},
	{"listen_timeout", nil, aNumber, setMillis(func(a *App) *Duration { return &a.ListenTimeout })},
	{"watch", nil, aWatch, (*settler).setWatch},
	{"ignore_watch", nil, aList, (*settler).setIgnore},
	{"watch_delay", nil, aNumber, setMillis(func(a *App) *Duration { return &a.WatchDelay })},
	{"watch_options", nil, anObject, (*settler).setWatchOptions},
	{"cron_restart", []string{"cron"}, aCron, (*settler).setCron},
	{"out_file", []string{"out", "output", "out_log"}, aText, setText(func(a *App) *string { return &a.OutFile })},
	{"error_file", []string{"error", "err", "err_file", "err_log"}, aText, setText(func(a *App) *string { return &a.ErrorFile })},
	{"log_file", []string{"log"}, aLogFile, (*settler).setLogFile},
	{"merge_logs", []string{"combine_logs"}, aBool, (*settler).setMerge},
	{"log_date_format", nil, aText, setText(func(a *App) *string { return &a.LogDateFormat })},
	{"time", nil, aBool, (*settler).setTime},
	{"log_type", nil, aText, setText(func(a *App) *string { return &a.LogType })},
	{"disable_logs", nil, aBool, setBool(func(a *App) *bool { return &a.DisableLogs })},
	{"pid_file", []string{"pid"}, aText, setText(func(a *App) *string { return &a.PIDFile })},
	{"uid", []string{"user"}, anID, setText(func(a *App) *string { return &a.UID })},
	{"gid", nil, anID, setText(func(a *App) *string { return &a.GID })},
	{"append_env_to_name", nil, aBool, (*settler).setAppend},
}

// vendorFields belong to PM2's monitoring, cloud, git and Windows. Files have them; sidereal
// ignores them.
var vendorFields = []string{
	"source_map_support", "disable_source_map_support", "vizion", "pmx", "automation", "trace", "disable_trace", "v8",
	"event_loop_inspector", "deep_monitoring", "io", "post_update", "username", "windows_hide", "force", "write",
	"execute_command", "install_url", "name_prefix",
}

// Values that fields take, for messages.
var (
	aText    = []string{"text"}
	aBool    = []string{"true or false"}
	aNumber  = []string{"a number"}
	aCount   = []string{"a number", `"max"`}
	aSpan    = []string{"milliseconds", "text like 5s, 2m or 1h"}
	aSize    = []string{"bytes", "text like 300M, 1G or 512K"}
	aList    = []string{"a list of text", "text"}
	aCodes   = []string{"a list of numbers", "a number"}
	aWatch   = []string{"true or false", "a path", "a list of paths"}
	aFilter  = []string{"true or false", "a list of text", "text"}
	aLogFile = []string{"a path", "true or false"}
	aCron    = []string{"text", "0"}
	anEnv    = []string{"an object", "text like A=1 B=2"}
	anObject = []string{"an object"}
	anID     = []string{"a number", "a name"}
)

func (f *field) typeRule(v value) string {
	return fmt.Sprintf("must be %s, not %s", strings.Join(f.types, " or "), typeOf(v))
}

var fieldByName, isVendor = index()

// index finds a field by any of its names, and knows the vendor's.
func index() (map[string]*field, map[string]bool) {
	byName, vendor := map[string]*field{}, map[string]bool{}
	for i := range allFields {
		f := &allFields[i]
		for _, name := range append(f.aliases, f.name) {
			byName[name] = f
		}
	}
	for _, name := range vendorFields {
		vendor[name] = true
	}
	return byName, vendor
}

// snake returns a name in camelCase in the form with underscores.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
