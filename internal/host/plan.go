package host

import (
	"cmp"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/node"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// The order in which a host stops: first no client gets in, then the sessions move away, and their
// carriers go last.
const (
	stageRouter = iota
	stageWorkers
	stageNodeHosts
	stageRedis
)

// Places that the apps of a host share.
const (
	RedisPlace          = "redis"
	SharedNodeHostPlace = "nodehost"
)

// defaultSettle is how long a silent program has to run before it counts as ready. A script that
// doesn't parse has ended by then, and the command that started it says so.
const defaultSettle = 150 * time.Millisecond

// fatalCode is the exit code by which services report a wrong setting: a restart would not help.
const fatalCode = config.ExitUsage

// Facts are what a host has found out before it plans an app.
type Facts struct {
	Program []string // the command line of this program: the name of a service follows it
	Environ []string // the environment of this process
	Cores   int      // how many cores this process may use

	Dir       string           // the folder of the app's unix sockets
	User      *supervisor.User // who runs the app's services; nil for this process' user
	Redis     *config.Redis    // the embedded Redis; nil if the settings name one, or the app needs none
	Doors     []Door           // the ports that are open
	API       *net.TCPListener // of the HTTP API; nil for none
	Injected  bool             // the app's Socket.IO servers got our adapter
	Advertise string           // how other hosts reach the app; empty while that isn't known

	Settle time.Duration // how long a silent program has to run to count as ready; zero means 150 ms
}

// Door is a port of an app, open for clients and for other hosts.
type Door struct {
	Wanted    string // the address that the settings or the processes ask for
	Router    string // the place of the router that serves it
	App       string // the app of the directory behind the router
	Advertise string // how other hosts reach it
	Listeners []*net.TCPListener
	Redirect  int // which listener sends clients of plain HTTP on to HTTPS, from 1; 0 for none
}

// Plan returns the processes that a host runs for an app, services first. It reads nothing but its
// arguments.
//
// The plan has a router for each place that doors name, once the app has a folder for sockets. It
// has an HTTP API if the app has a port for one, a node host where the kind of the app needs one that isn't shared, and all processes of the
// app.
func Plan(app App, facts Facts) []supervisor.Spec {
	var specs []supervisor.Spec
	for i, door := range facts.Doors {
		first := slices.IndexFunc(facts.Doors, func(d Door) bool { return d.Router == door.Router })
		if first == i { // further doors of one router come over its line
			specs = append(specs, router(&app, &facts, door))
		}
	}
	if facts.API != nil {
		specs = append(specs, httpAPI(&app, &facts))
	}
	if app.Kind.NodeHosted() && !app.SharedNodeHost {
		specs = append(specs, nodeHost(&app, &facts))
	}
	for _, p := range app.Processes {
		specs = append(specs, process(&app, &facts, p))
	}
	return specs
}

// router plans a router and its first door.
func router(app *App, facts *Facts, door Door) supervisor.Spec {
	return supervisor.Spec{
		Name: door.Router, Group: app.place("services"), Command: service(facts.Program, "router"),
		Environ: merged(serviceEnviron(facts.Environ), settingsEnviron(app, facts, door.Advertise),
			[]string{"SIDEREAL_APP=" + door.App, fmt.Sprintf("SIDEREAL_LISTEN_REDIRECT=%d", door.Redirect)}),
		User: facts.User, Stage: stageRouter, Yields: true, Listeners: door.Listeners, FatalCode: fatalCode,
		AliveTimeout: app.Settings.AliveTimeout, FreezeTimeout: app.Settings.FreezeTimeout,
		Stop: supervisor.StopRule{Timeout: app.Settings.stopTimeout()},
	}
}

// httpAPI plans the HTTP API of an app. It is the only process that knows its keys.
func httpAPI(app *App, facts *Facts) supervisor.Spec {
	own := []string{apiKeys + "=" + app.Settings.APIKeys}
	if facts.Injected {
		own = append(own, "SIDEREAL_ADAPTER_KEY="+adapterenv.ServerKey(app.Settings.Cluster, app.Settings.App.App, 1))
	}
	return supervisor.Spec{
		Name: app.APIPlace(), Group: app.place("services"), Command: service(facts.Program, "api"),
		Environ: merged(serviceEnviron(facts.Environ), settingsEnviron(app, facts, ""), own),
		User:    facts.User, Stage: stageRouter, Listeners: []*net.TCPListener{facts.API}, FatalCode: fatalCode,
		AliveTimeout: app.Settings.AliveTimeout, FreezeTimeout: app.Settings.FreezeTimeout,
		Stop: supervisor.StopRule{Timeout: app.Settings.stopTimeout()},
	}
}

// nodeHost plans the node host of an app.
func nodeHost(app *App, facts *Facts) supervisor.Spec {
	return supervisor.Spec{
		Name: app.NodeHostPlace(), Group: app.place("services"), Command: service(facts.Program, "nodehost"),
		Environ: merged(serviceEnviron(facts.Environ), settingsEnviron(app, facts, facts.Advertise)),
		User:    facts.User, Stage: stageNodeHosts, FatalCode: fatalCode,
		AliveTimeout: app.Settings.AliveTimeout, FreezeTimeout: app.Settings.FreezeTimeout,
	}
}

// process completes the spec of a process by the kind of its app.
func process(app *App, facts *Facts, p Process) supervisor.Spec {
	s := p.Spec
	s.Group, s.Stage, s.AliveTimeout = app.group(), stageWorkers, app.Settings.AliveTimeout
	s.Unlined = app.Kind != Worker
	s.Env = merged(s.Env, []string{"SIDEREAL_WORKER_ID=" + strconv.Itoa(p.Slot)})
	agent := supervisor.Agent{Place: app.NodeHostPlace()}
	settle := cmp.Or(facts.Settle, defaultSettle)
	switch app.Kind {
	case NodeCluster:
		agent.Hook = node.ChannelHook{Mode: "advanced", Slot: p.Slot, Cluster: true, WaitReady: p.WaitReady, Dir: facts.Dir, User: facts.User}
		agent.Drain = app.Settings.ShutdownTimeout
		s.Agent, s.Readiness.Timeout = &agent, p.ListenTimeout
		if !p.WaitReady && p.ListenTimeout > 0 {
			s.Readiness.AtStart, s.Readiness.AfterLoad, s.Readiness.Settle = true, true, settle
		}
	case NodeFork:
		agent.Hook = node.ChannelHook{Mode: "json", Slot: p.Slot, WaitReady: p.WaitReady, Dir: facts.Dir, User: facts.User}
		s.Agent, s.Single = &agent, true
		s.Readiness = supervisor.Readiness{AtStart: !p.WaitReady, AfterLoad: true, Settle: settle, Timeout: p.ListenTimeout}
	case Worker:
		s.FreezeTimeout = app.Settings.FreezeTimeout
		s.Stop.Timeout = max(s.Stop.Timeout, app.Settings.stopTimeout())
		s.Environ = merged(s.Environ, settingsEnviron(app, facts, facts.Advertise))
		if !has(s.Environ, "GOMAXPROCS") {
			s.Environ = append(s.Environ, fmt.Sprintf("GOMAXPROCS=%d", max(1, facts.Cores/max(1, len(app.Processes)))))
		}
	case Program:
		agent.Hook, agent.Drain = node.PortHook{Slot: p.Slot}, app.Settings.ShutdownTimeout
		s.Agent, s.Readiness = &agent, supervisor.Readiness{AtStart: true, Settle: settle}
	case Alone:
		s.Single, s.Readiness = true, supervisor.Readiness{AtStart: true, Settle: settle}
	}
	if app.Kind.Channeled() && p.Interpreted {
		scripts := []string{"-r", filepath.Join(facts.Dir, node.Preload)}
		if app.Settings.Inject != "off" {
			scripts = append([]string{"-r", filepath.Join(facts.Dir, node.UsageScript)}, scripts...)
			if app.Kind == NodeCluster {
				scripts = append([]string{"-r", filepath.Join(facts.Dir, node.Adapter)}, scripts...)
			}
		}
		s.Command = slices.Insert(slices.Clone(s.Command), 1, scripts...)
	}
	if url := app.Settings.ReadyURL; url != "" {
		s.Readiness = supervisor.Readiness{Probe: url}
	}
	return s
}

// EmbeddedRedis plans the Redis of the apps that name none. It listens on l.
func EmbeddedRedis(facts Facts, set config.Liveness, l *net.TCPListener) supervisor.Spec {
	return supervisor.Spec{
		Name: RedisPlace, Command: service(facts.Program, "redis"), Stage: stageRedis, Listeners: []*net.TCPListener{l}, FatalCode: fatalCode,
		Environ:      merged(serviceEnviron(facts.Environ), redisEnviron(facts.Redis)),
		AliveTimeout: set.AliveTimeout, // a frozen one may come back with its data, so it gets more time than a worker
	}
}

// SharedNodeHost plans the node host that apps of NodeFork share. It holds their channels and needs
// no setting of theirs, since no router serves their processes.
func SharedNodeHost(facts Facts, set config.Liveness, log config.Log) supervisor.Spec {
	return supervisor.Spec{
		Name: SharedNodeHostPlace, Command: service(facts.Program, "nodehost"), Stage: stageNodeHosts, FatalCode: fatalCode, AliveTimeout: set.AliveTimeout,
		Environ: merged(serviceEnviron(facts.Environ),
			[]string{"SIDEREAL_RUNTIME_DIR=" + facts.Dir, "SIDEREAL_LOG_LEVEL=" + log.Level, "SIDEREAL_LOG_FORMAT=" + log.Format}),
	}
}

// service is the command line of a service.
func service(program []string, name string) []string { return append(slices.Clone(program), name) }
