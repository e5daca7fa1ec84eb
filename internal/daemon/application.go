package daemon

import (
	"debug/buildinfo"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// application is an app and its deployment.
type application struct {
	key      string // unique; names its places
	name     string
	names    string // its namespace
	kind     host.Kind
	host     host.App         // without processes
	user     *supervisor.User // that its processes and services run as; nil: the daemon's own
	set      config.Daemon    // from the app's environment
	settings *config.Settings // the same, by variable
	warnings []string

	deployment *host.Deployment // nil until the app is in the list

	facts kept[facts]
}

// facts has the changing state of an app. Its original is in the book; readers get a copy (seen).
type facts struct {
	app      pm2.App
	entries  []*entry // by id
	watch    *watch   // nil: off
	hold     *hold    // of the command that changes the app's processes; nil: none
	deleters int      // commands that wait for the hold to delete processes
	gone     bool     // is being deleted, or has been: it gets nothing more
}

// entry is one process of the list.
type entry struct {
	id       int
	app      *application
	instance int
	place    string // its supervisor's name for it
	uniqueID string
	out, err *sink
	files    []*logfile.File
	facts    kept[entryFacts]
}

// entryFacts has the changing state of a process, in the book.
type entryFacts struct {
	created  time.Time
	reloaded time.Time
	commands int // restarts by command, less the unplanned ends that a command followed
}

// trustedProxies is the setting that apps of process files have another default for: PM2's users serve
// TLS with nginx on the same host, and their apps read its headers.
const (
	trustedProxies = "SIDEREAL_TRUSTED_PROXIES"
	loopback       = "127.0.0.0/8,::1"
)

// resolve reads an app's settings from its environment.
func resolve(a pm2.App, key string) (*application, error) {
	ap := &application{key: key, name: a.Name, names: a.Namespace, kind: kindOf(&a)}
	ap.facts = kept[facts]{facts{app: a}}
	who, err := identityOf(&a)
	if err != nil {
		return nil, err
	}
	ap.user = who.user
	env := map[string]string{"SIDEREAL_APP": directoryName(key)}
	for name, value := range a.Env {
		if name != "PORT" && !config.ForChild(name) && value != "" {
			env[name] = value
		}
	}
	if _, given := env[trustedProxies]; !given && !strings.EqualFold(env["SIDEREAL_PROXY_PROTOCOL"], "on") {
		env[trustedProxies] = loopback
	}
	settings, err := config.Load(&ap.set, config.Source{Environ: pairs(env)})
	if err != nil {
		return nil, &Failure{Code: config.ExitUsage, Text: prefixed(a.Name, err.Error())}
	}
	ap.settings, ap.warnings = settings, settings.Warnings
	if ap.kind == host.NodeFork && a.Env["SIDEREAL_ADDR"] != "" {
		ap.warnings = append(ap.warnings, "SIDEREAL_ADDR isn't served in fork mode, where a process opens its own port: -i 1 runs it in cluster mode")
	}
	ap.host = host.App{
		Key: key, Name: a.Name, Kind: ap.kind, Port: wantedPort(ap.kind, &a), SharedNodeHost: ap.kind == host.NodeFork && a.UID == "" && a.GID == "",
		Settings: settingsOf(&ap.set), Variables: settings.Environ(),
	}
	if err := ap.set.Cluster.Suits(a.Count(supervisor.Cores()), ap.set.Redis); err != nil {
		return nil, &Failure{Code: config.ExitUsage, Text: prefixed(a.Name, err.Error())}
	}
	return ap, nil
}

// settingsOf returns the settings for the app's host.
func settingsOf(set *config.Daemon) host.Settings {
	return host.Settings{
		Redis: set.Redis, App: set.App, NodeApps: set.NodeApps, Routing: set.Routing, Upstreams: set.Upstreams, TLS: set.TLS, Redirect: set.Redirect,
		Cluster: set.Cluster, Stopping: set.Stopping, Liveness: set.Liveness, API: set.API, Addr: set.Addr, Advertise: set.Advertise,
	}
}

func kindOf(a *pm2.App) host.Kind {
	switch {
	case a.Static:
		return host.Alone
	case a.ExecMode == pm2.Cluster:
		return host.NodeCluster
	case a.Interpreter == "none" && onOurPackages(a.Script):
		return host.Worker
	case a.SharePort, pm2.LikeNode(a.Interpreter) && a.Count(supervisor.Cores()) > 1:
		return host.Program
	case pm2.OnNode(a.Interpreter), pm2.LikeNode(a.Interpreter):
		return host.NodeFork
	case a.Count(supervisor.Cores()) > 1 || a.Env["SIDEREAL_ADDR"] != "" || a.Env["PM2_PORT"] != "":
		return host.Program
	case startsNode(a):
		return host.NodeFork // it may send messages, as under PM2
	}
	return host.Alone // its port is its own affair, as in PM2
}

// nodeCommand finds Node, or what runs on it, in a command line of a shell.
var nodeCommand = regexp.MustCompile(`(^|[\s;&|(/])(node|nodejs|ts-node|tsx|babel-node|bun|deno|npx|bunx)\s`)

// commandFlag matches the flag that a shell takes a command line behind: -c, or -lc for a login shell.
var commandFlag = regexp.MustCompile(`^-[a-z]*c$`)

// startsNode reports whether a program that isn't Node starts Node by itself, which then inherits its
// channel: `node app.js` as a script, for example. npm closes it.
func startsNode(a *pm2.App) bool {
	if a.Interpreter != "none" {
		return false
	}
	if len(a.Args) > 1 && commandFlag.MatchString(a.Args[0]) {
		return nodeCommand.MatchString(a.Args[1])
	}
	return pm2.OnNode(a.Script) || pm2.LikeNode(a.Script)
}

// module is this module's path. A Go program whose build information names it is a worker.
const module = "github.com/sidereal-io/sidereal"

func onOurPackages(program string) bool {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return false
	}
	if info.Main.Path == module {
		return true
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return true
		}
	}
	return false
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// directoryName returns an app's name in Redis.
func directoryName(name string) string {
	name = strings.Trim(notInNames.ReplaceAllString(name, "-"), "-")
	if name == "" {
		return "default"
	}
	return name[:min(len(name), 64)]
}

// wantedPort returns the port that an app's settings name, or 0. Node apps use PORT themselves.
func wantedPort(kind host.Kind, a *pm2.App) int {
	if kind != host.Worker && kind != host.Program {
		return 0
	}
	if a.Port != 0 {
		return a.Port
	}
	port, err := strconv.Atoi(a.Env["PORT"])
	if err != nil || port < 0 || port >= 1<<16 {
		return 0
	}
	return port
}

// addr is the address at which clients reach the app unless its processes listen on one of their
// own.
func (ap seen) addr() string {
	app := ap.host
	app.Port = wantedPort(ap.kind, &ap.app)
	return app.Addr()
}

func prefixed(name, text string) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		out = append(out, name+": "+line)
	}
	return strings.Join(out, "\n")
}

// pairs returns an environment as a list of NAME=value.
func pairs(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, name+"="+env[name])
	}
	return out
}
