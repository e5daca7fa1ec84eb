package pm2

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
)

// flag is an option of `start` that says what a field of a file says.
type flag struct {
	name, short string
	field       string
	kind        flagKind
	usage       string // the value's name in backquotes
}

type flagKind byte

const (
	flagText     flagKind = iota
	flagOptional          // text; without one it is true
	flagTrue              // without a value
	flagFalse             // without a value, for what is on by default
)

// The options of `start`, by PM2's names.
var startFlags = []flag{
	{"name", "n", "name", flagText, "the app's `name`"},
	{"namespace", "N", "namespace", flagText, "the app's `namespace`, a group for commands"},
	{"instances", "i", "instances", flagText, "`number` of processes; max or 0 for one per core, -1 for one less"},
	{"cwd", "", "cwd", flagText, "the `folder` that the app runs in"},
	{"interpreter", "", "interpreter", flagText, "the `program` that runs the script, or none"},
	{"interpreter-args", "", "node_args", flagText, "`arguments` of the interpreter"},
	{"node-args", "", "node_args", flagText, "`arguments` of node"},
	{"output", "o", "out_file", flagText, "`file` for the app's output"},
	{"error", "e", "error_file", flagText, "`file` for the app's errors"},
	{"log", "l", "log_file", flagOptional, "a further `file` with output and errors; without a value in the logs folder"},
	{"time", "", "time", flagTrue, "put the date before each line of the log files"},
	{"log-date-format", "", "log_date_format", flagText, "`format` of that date, as day.js writes it"},
	{"log-type", "", "log_type", flagText, "with json, each line of the log files is a JSON `object`"},
	{"merge-logs", "", "merge_logs", flagTrue, "one log file for all processes of the app"},
	{"disable-logs", "", "disable_logs", flagTrue, "no log files"},
	{"pid", "p", "pid_file", flagText, "`file` for the process id"},
	{"watch", "", "watch", flagOptional, "restart when files below these `paths` change; without a value, below the working directory"},
	{"ignore-watch", "", "ignore_watch", flagText, "`paths` and globs that watch ignores"},
	{"watch-delay", "", "watch_delay", flagText, "time in `ms` from a change to the restart"},
	{"max-memory-restart", "", "max_memory_restart", flagText, "reload a process that needs more memory than this `size`: bytes, 300M, 1G"},
	{"restart-delay", "", "restart_delay", flagText, "time in `ms` to wait before a restart"},
	{"exp-backoff-restart-delay", "", "exp_backoff_restart_delay", flagText, "first wait before a restart in `ms`; it grows with each restart"},
	{"max-restarts", "", "max_restarts", flagText, "`number` of quick exits after which a process is errored"},
	{"min-uptime", "", "min_uptime", flagText, "an exit within this `time` is quick: ms, 5s, 1m"},
	{"kill-timeout", "k", "kill_timeout", flagText, "time in `ms` between the stop signal and SIGKILL"},
	{"stop-signal", "", "stop_signal", flagText, "`signal` that stops a process"},
	{"listen-timeout", "", "listen_timeout", flagText, "time in `ms` that a process has to become ready"},
	{"wait-ready", "", "wait_ready", flagTrue, "wait until a process sends the message ready"},
	{"shutdown-with-message", "", "shutdown_with_message", flagTrue, "stop Node processes with the message shutdown"},
	{"stop-exit-codes", "", "stop_exit_codes", flagText, "exit `codes` that don't cause a restart"},
	{"no-autorestart", "", "autorestart", flagFalse, "don't restart a process that exits"},
	{"no-autostart", "", "autostart", flagFalse, "add the app to the list without starting it"},
	{"no-treekill", "", "treekill", flagFalse, "stop only the process, not its children"},
	{"cron", "c", "cron_restart", flagText, "restart at these `times`, in cron's format"},
	{"cron-restart", "", "cron_restart", flagText, "the same as --cron"},
	{"uid", "", "uid", flagText, "`user` to run the app as, for root"},
	{"gid", "", "gid", flagText, "`group` to run the app as, for root"},
	{"filter-env", "", "filter_env", flagOptional, "remove variables whose names contain one of these `texts`; without a value, all"},
	{"instance-var", "", "instance_var", flagText, "`variable` that holds the instance's number"},
	{"increment-var", "", "increment_var", flagText, "`variable` whose number grows with each instance"},
}

// accepted are PM2's that nothing here needs, or only some commands. PM2 takes all of its options
// with all of its commands: scripts have `delete all --force`.
var accepted = []struct {
	name, short string
	text        bool // it has a value
}{
	{name: "no-vizion"}, {name: "no-pmx"}, {name: "no-automation"}, {name: "source-map-support"}, {name: "disable-source-map-support"},
	{name: "trace"}, {name: "disable-trace"}, {name: "v8"}, {name: "event-loop-inspector"}, {name: "deep-monitoring"},
	{name: "mini-list", short: "m"}, {name: "wait-ip"}, {name: "write", short: "w"}, {name: "execute-command", short: "x"},
	{name: "force", short: "f"}, {name: "update-env", short: "a"}, {name: "watch"},
	{name: "ext", text: true}, {name: "sort", text: true}, {name: "parallel", text: true}, {name: "env", text: true},
	{name: "user", short: "u", text: true}, {name: "hp", text: true}, {name: "service-name", text: true},
}

// AddAccepted gives a command of PM2's the options that it does without, as far as it has no own
// ones of their names.
func AddAccepted(set *pflag.FlagSet) {
	for _, f := range accepted {
		if set.Lookup(f.name) != nil {
			continue
		}
		short := f.short
		if short != "" && set.ShorthandLookup(short) != nil {
			short = ""
		}
		if f.text {
			set.StringP(f.name, short, "", "accepted, and not used")
		} else {
			set.BoolP(f.name, short, false, "accepted, and not used")
		}
		if err := set.MarkHidden(f.name); err != nil {
			panic(err) // it was added a line above
		}
	}
}

// Flags are the options of a command that says what a file would.
type Flags struct {
	set  *pflag.FlagSet
	text map[string]*string
}

// AddFlags gives a command the options of `start`.
func AddFlags(set *pflag.FlagSet) *Flags {
	f := &Flags{set, map[string]*string{}}
	for _, o := range startFlags {
		switch o.kind {
		case flagTrue, flagFalse:
			set.BoolP(o.name, o.short, false, o.usage)
		default:
			f.text[o.name] = set.StringP(o.name, o.short, "", o.usage)
			if o.kind == flagOptional {
				set.Lookup(o.name).NoOptDefVal = "true"
			}
		}
	}
	return f
}

// Options are the fields that the command line has set, for [Loader.Options].
func (f *Flags) Options() map[string]any {
	options := map[string]any{}
	for _, o := range startFlags {
		if !f.set.Changed(o.name) {
			continue
		}
		switch o.kind {
		case flagTrue, flagFalse:
			on, err := f.set.GetBool(o.name)
			if err != nil {
				panic(err) // AddFlags made it one
			}
			options[o.field] = on == (o.kind == flagTrue)
		default:
			options[o.field] = f.option(&o)
		}
	}
	return options
}

func (f *Flags) option(o *flag) any {
	text := *f.text[o.name]
	switch {
	case o.kind == flagOptional && (text == "true" || text == "false"):
		return text == "true"
	case o.field == "watch": // several paths, as PM2 splits them
		return split(text)
	}
	return text
}

// Rearrange puts a command line that PM2 understands into the form that pflag does: a value behind
// --watch, --log, --filter-env and --timestamp, which need none, once the app has been named;
// several exit codes behind --stop-exit-codes; and -1 that is an argument and no flag.
func Rearrange(args []string, set *pflag.FlagSet) []string {
	var flags, rest []string
	negative := false
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch f := lookup(set, arg); {
		case arg == "--":
			return append(joinArgs(flags, rest, negative), args[i:]...)
		case f == nil:
			negative = negative || isNegative(arg)
			if strings.HasPrefix(arg, "-") && arg != "-" && !isNegative(arg) {
				flags = append(flags, arg) // pflag says what is wrong with it
			} else {
				rest = append(rest, arg)
			}
		case strings.Contains(arg, "="), f.NoOptDefVal != "" && !takesNext(args, i, rest, f):
			flags = append(flags, arg)
		case i+1 == len(args):
			flags = append(flags, arg)
		default:
			last := i + 1
			for f.Name == "stop-exit-codes" && last+1 < len(args) && isCode(args[last+1]) {
				last++
			}
			flags = append(flags, fmt.Sprintf("--%s=%s", f.Name, strings.Join(args[i+1:last+1], " ")))
			i = last
		}
	}
	return joinArgs(flags, rest, negative)
}

// joinArgs puts arguments behind flags; those that look like flags behind a dash.
func joinArgs(flags, rest []string, negative bool) []string {
	if negative {
		flags = append(flags, "--")
	}
	return append(flags, rest...)
}

// lookup finds the flag that an argument names; shorthands only alone.
func lookup(set *pflag.FlagSet, arg string) *pflag.Flag {
	name, _, _ := strings.Cut(arg, "=")
	if long, ok := strings.CutPrefix(name, "--"); ok && long != "" {
		return set.Lookup(long)
	}
	if len(name) == 2 && name[0] == '-' && name[1] != '-' {
		return set.ShorthandLookup(name[1:])
	}
	return nil
}

// takesNext reports whether a flag with an optional value has the next argument for it.
func takesNext(args []string, i int, rest []string, f *pflag.Flag) bool {
	if f.Value.Type() != "string" || i+1 == len(args) || strings.HasPrefix(args[i+1], "-") {
		return false
	}
	return len(rest) > 0 || f.Name == "timestamp" && dateLike.MatchString(args[i+1])
}

// dateLike tells a format of dates from an app's name.
var dateLike = regexp.MustCompile(`YY|MM|DD|HH|[Hh]:m|m:s`)

func isNegative(arg string) bool { return len(arg) > 1 && arg[0] == '-' && isCode(arg[1:]) }

func isCode(arg string) bool {
	for i := range len(arg) {
		if arg[i] < '0' || arg[i] > '9' {
			return false
		}
	}
	return arg != ""
}
