package host

import (
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/node"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// settings are those of the apps in these tables.
func settings() Settings {
	return Settings{
		App:      config.App{App: "chat"},
		Stopping: config.Stopping{DrainDelay: 2 * time.Second, ShutdownTimeout: 30 * time.Second},
		Liveness: config.Liveness{AliveTimeout: 15 * time.Second, FreezeTimeout: 3 * time.Second},
	}
}

func app(key string, kind Kind, processes ...string) App {
	a := App{Key: key, Kind: kind, Settings: settings(), Variables: []string{"SIDEREAL_APP=chat", "SIDEREAL_PATH=/rt/"}}
	for i, name := range processes {
		p := Process{Slot: i + 1}
		p.Name, p.Command, p.Environ = name, []string{"run", name}, []string{"HOME=/home/ada"}
		a.Processes = append(a.Processes, p)
	}
	return a
}

func facts() Facts {
	return Facts{Program: []string{"sidereal"}, Environ: []string{"PATH=/bin", "SIDEREAL_PATH=/other/", "PORT=80", "LISTEN_FDS=1"}, Cores: 4, Dir: "/run/s"}
}

func (f Facts) with(doors ...Door) Facts {
	f.Doors = doors
	return f
}

// TestPlanNamesPlaces tells which processes an app needs, in what order, and how they stop.
func TestPlanNamesPlaces(t *testing.T) {
	shared := app("jobs", NodeFork, "jobs-0")
	shared.SharedNodeHost = true
	l := &net.TCPListener{}
	main := Door{Router: "chat/router", App: "chat", Advertise: "10.0.0.1:80", Listeners: []*net.TCPListener{l}}
	side := Door{Router: "chat/router-81", App: "chat:81", Advertise: "10.0.0.1:81", Listeners: []*net.TCPListener{l}}
	again := Door{Router: "chat/router", App: "chat", Advertise: "10.0.0.1:82", Listeners: []*net.TCPListener{l}}
	served := facts().with(main)
	served.API = l
	for name, c := range map[string]struct {
		app   App
		facts Facts
		want  string // name, group, stage
	}{
		"only app of a host": {app("", Worker, "worker-1", "worker-2"), facts().with(Door{Router: "router"}), "router services 0, worker-1 workers 1, worker-2 workers 1"},
		"Go workers":         {app("chat", Worker, "chat-0"), facts().with(main), "chat/router chat/services 0, chat-0 chat 1"},
		"Node workers":       {app("chat", NodeCluster, "chat-0", "chat-1"), facts().with(main), "chat/router chat/services 0, chat/nodehost chat/services 2, chat-0 chat 1, chat-1 chat 1"},
		"no open door":       {app("chat", NodeCluster, "chat-0"), facts(), "chat/nodehost chat/services 2, chat-0 chat 1"},
		"a further door":     {app("chat", NodeCluster), facts().with(main, again), "chat/router chat/services 0, chat/nodehost chat/services 2"},
		"a further port":     {app("chat", NodeCluster), facts().with(main, side), "chat/router chat/services 0, chat/router-81 chat/services 0, chat/nodehost chat/services 2"},
		"an HTTP API":        {app("chat", Worker, "chat-0"), served, "chat/router chat/services 0, chat/api chat/services 0, chat-0 chat 1"},
		"any program":        {app("api", Program, "api-3"), facts(), "api/nodehost api/services 2, api-3 api 1"},
		"forked Node":        {app("jobs", NodeFork, "jobs-0"), facts(), "jobs/nodehost jobs/services 2, jobs-0 jobs 1"},
		"shared node host":   {shared, facts(), "jobs-0 jobs 1"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range Plan(c.app, c.facts) {
				got = append(got, strings.Join([]string{s.Name, s.Group, string(rune('0' + s.Stage))}, " "))
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), c.want)
			}
		})
	}
}

// TestPlanBindsProcesses tells what the kind of an app makes of its processes.
func TestPlanBindsProcesses(t *testing.T) {
	const settle = 150 * time.Millisecond
	for name, c := range map[string]struct {
		kind    Kind
		set     func(*App)
		want    supervisor.Spec // of these fields: Agent, Readiness, Single, Unlined, FreezeTimeout, Stop
		command string
	}{
		"Node worker": {NodeCluster, func(a *App) { a.Processes[0].ListenTimeout = time.Second }, supervisor.Spec{
			Unlined: true, Readiness: supervisor.Readiness{AtStart: true, AfterLoad: true, Settle: settle, Timeout: time.Second},
			Agent: &supervisor.Agent{Place: "chat/nodehost", Hook: node.ChannelHook{Dir: "/run/s", Mode: "advanced", Slot: 1, Cluster: true}, Drain: 30 * time.Second},
		}, "run -r /run/s/adapter.cjs -r /run/s/usage.cjs -r /run/s/preload.cjs w"},
		"Node worker that keeps its adapter": {NodeCluster, func(a *App) { a.Settings.Inject = "off" }, supervisor.Spec{
			Unlined: true,
			Agent:   &supervisor.Agent{Place: "chat/nodehost", Hook: node.ChannelHook{Dir: "/run/s", Mode: "advanced", Slot: 1, Cluster: true}, Drain: 30 * time.Second},
		}, "run -r /run/s/preload.cjs w"},
		"forked Node": {NodeFork, func(*App) {}, supervisor.Spec{
			Unlined: true, Single: true, Readiness: supervisor.Readiness{AtStart: true, AfterLoad: true, Settle: settle},
			Agent: &supervisor.Agent{Place: "chat/nodehost", Hook: node.ChannelHook{Dir: "/run/s", Mode: "json", Slot: 1}},
		}, "run -r /run/s/usage.cjs -r /run/s/preload.cjs w"},
		"forked Node that says when it is ready": {NodeFork, func(a *App) { a.Processes[0].WaitReady, a.SharedNodeHost = true, true }, supervisor.Spec{
			Unlined: true, Single: true, Readiness: supervisor.Readiness{AfterLoad: true, Settle: settle},
			Agent: &supervisor.Agent{Place: "nodehost", Hook: node.ChannelHook{Dir: "/run/s", Mode: "json", Slot: 1, WaitReady: true}},
		}, "run -r /run/s/usage.cjs -r /run/s/preload.cjs w"},
		"Node without an interpreter": {NodeCluster, func(a *App) { a.Processes[0].Interpreted = false }, supervisor.Spec{
			Unlined: true,
			Agent:   &supervisor.Agent{Place: "chat/nodehost", Hook: node.ChannelHook{Dir: "/run/s", Mode: "advanced", Slot: 1, Cluster: true}, Drain: 30 * time.Second},
		}, "run w"},
		"Go worker": {Worker, func(*App) {}, supervisor.Spec{
			FreezeTimeout: 3 * time.Second, Stop: supervisor.StopRule{Timeout: 33 * time.Second},
		}, "run w"},
		"Go worker with a longer kill_timeout": {Worker, func(a *App) { a.Processes[0].Stop.Timeout = time.Minute }, supervisor.Spec{
			FreezeTimeout: 3 * time.Second, Stop: supervisor.StopRule{Timeout: time.Minute},
		}, "run w"},
		"any program": {Program, func(*App) {}, supervisor.Spec{
			Unlined: true, Readiness: supervisor.Readiness{AtStart: true, Settle: settle},
			Agent: &supervisor.Agent{Place: "chat/nodehost", Hook: node.PortHook{Slot: 1}, Drain: 30 * time.Second},
		}, "run w"},
		"a ready URL": {Program, func(a *App) { a.Settings.ReadyURL = "http://127.0.0.1:{port}/up" }, supervisor.Spec{
			Unlined: true, Readiness: supervisor.Readiness{Probe: "http://127.0.0.1:{port}/up"},
			Agent: &supervisor.Agent{Place: "chat/nodehost", Hook: node.PortHook{Slot: 1}, Drain: 30 * time.Second},
		}, "run w"},
	} {
		t.Run(name, func(t *testing.T) {
			a := app("chat", c.kind, "w")
			a.Processes[0].Interpreted = true
			c.set(&a)
			specs := Plan(a, facts())
			s := specs[len(specs)-1]
			got := supervisor.Spec{Agent: s.Agent, Readiness: s.Readiness, Single: s.Single, Unlined: s.Unlined, FreezeTimeout: s.FreezeTimeout, Stop: s.Stop}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if s.AliveTimeout != 15*time.Second || s.Name != "w" {
				t.Errorf("%+v", s)
			}
			if command := strings.Join(s.Command, " "); command != c.command {
				t.Errorf("command %q, want %q", command, c.command)
			}
		})
	}
}

// TestPlanSetsEnvironments tells what each process of an app finds in its environment.
func TestPlanSetsEnvironments(t *testing.T) {
	embedded := &config.Redis{RedisURL: "redis://127.0.0.1:5", RedisPassword: "p"}
	f := facts().with(Door{Router: "router", App: "chat", Advertise: "10.0.0.1:80", Redirect: 2})
	f.Advertise, f.Redis = "10.0.0.1:80", embedded
	busy := app("", Worker, "w")
	busy.Processes[0].Environ = []string{"GOMAXPROCS=7"}
	keyed := app("", Worker, "w")
	keyed.Settings.APIKeys, keyed.Variables = "shop=secret", append(keyed.Variables, "SIDEREAL_API_KEYS=shop=secret", "SIDEREAL_ADMIN_KEY=secret")
	f.API = &net.TCPListener{}
	const redis = "SIDEREAL_REDIS_URL=redis://127.0.0.1:5 SIDEREAL_REDIS_PASSWORD=p"
	const shared = "SIDEREAL_APP=chat SIDEREAL_PATH=/rt/ SIDEREAL_RUNTIME_DIR=/run/s"
	for name, c := range map[string]struct {
		app   App
		place string
		want  string
	}{
		"router":           {app("", Worker), "router", "PATH=/bin " + shared + " SIDEREAL_ADVERTISE=10.0.0.1:80 " + redis + " SIDEREAL_LISTEN_REDIRECT=2"},
		"node host":        {app("", Program), "nodehost", "PATH=/bin " + shared + " SIDEREAL_ADVERTISE=10.0.0.1:80 " + redis},
		"Go worker":        {app("", Worker, "w", "x"), "w", "HOME=/home/ada " + shared + " SIDEREAL_ADVERTISE=10.0.0.1:80 " + redis + " GOMAXPROCS=2"},
		"GOMAXPROCS stays": {busy, "w", "GOMAXPROCS=7 " + shared + " SIDEREAL_ADVERTISE=10.0.0.1:80 " + redis},
		"any program":      {app("", Program, "w"), "w", "HOME=/home/ada"},
		"HTTP API":         {keyed, "api", "PATH=/bin " + shared + " " + redis + " SIDEREAL_API_KEYS=shop=secret"},
		"Go worker beside": {keyed, "w", "HOME=/home/ada " + shared + " SIDEREAL_ADVERTISE=10.0.0.1:80 " + redis + " GOMAXPROCS=4"},
	} {
		t.Run(name, func(t *testing.T) {
			specs := Plan(c.app, f)
			i := slices.IndexFunc(specs, func(s supervisor.Spec) bool { return s.Name == c.place })
			if i < 0 {
				t.Fatalf("no %s among %d", c.place, len(specs))
			}
			if got := strings.Join(specs[i].Environ, " "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if i > 0 && c.place == "w" && !slices.Equal(specs[i].Env, []string{"SIDEREAL_WORKER_ID=1"}) {
				t.Errorf("set over it: %q", specs[i].Env)
			}
		})
	}
}

// TestPlanOfAnAPIForPlainNodeApps: the API finds the key of servers that got our adapter.
func TestPlanOfAnAPIForPlainNodeApps(t *testing.T) {
	f := facts()
	f.API = &net.TCPListener{}
	for _, injected := range []bool{false, true} {
		f.Injected = injected
		specs := Plan(app("", NodeCluster), f)
		i := slices.IndexFunc(specs, func(s supervisor.Spec) bool { return s.Name == "api" })
		if got := slices.Contains(specs[i].Environ, "SIDEREAL_ADAPTER_KEY=socket.io@chat"); got != injected {
			t.Errorf("injected: %t; the API finds %q", injected, specs[i].Environ)
		}
	}
}

// TestPlanOfSharedServices tells what the apps of a host share.
func TestPlanOfSharedServices(t *testing.T) {
	f := facts()
	f.Redis = &config.Redis{RedisURL: "redis://127.0.0.1:5", RedisPassword: "p"}
	live := settings().Liveness
	redis := EmbeddedRedis(f, live, &net.TCPListener{})
	if got := strings.Join(redis.Environ, " "); got != "PATH=/bin SIDEREAL_REDIS_URL=redis://127.0.0.1:5 SIDEREAL_REDIS_PASSWORD=p" {
		t.Errorf("Redis finds %s", got)
	}
	if redis.Name != RedisPlace || redis.Stage != stageRedis || len(redis.Listeners) != 1 || redis.FatalCode != config.ExitUsage {
		t.Errorf("%+v", redis)
	}
	nodes := SharedNodeHost(f, live, config.Log{Level: "warn", Format: "json"})
	if got := strings.Join(nodes.Environ, " "); got != "PATH=/bin SIDEREAL_RUNTIME_DIR=/run/s SIDEREAL_LOG_LEVEL=warn SIDEREAL_LOG_FORMAT=json" {
		t.Errorf("the node host finds %s", got)
	}
	if nodes.Name != SharedNodeHostPlace || strings.Join(nodes.Command, " ") != "sidereal nodehost" {
		t.Errorf("%+v", nodes)
	}
}

// TestPlanReadsItsArgumentsAlone plans twice what others hold on to.
func TestPlanReadsItsArgumentsAlone(t *testing.T) {
	a, f := app("chat", NodeCluster, "w"), facts()
	a.Processes[0].Interpreted = true
	a.Processes[0].Command = append(make([]string, 0, 8), "node", "w.js") // room for an append to write into
	first := Plan(a, f)
	if second := Plan(a, f); !reflect.DeepEqual(first, second) {
		t.Errorf("first  %+v\nsecond %+v", first, second)
	}
	if got := strings.Join(a.Processes[0].Command, " "); got != "node w.js" {
		t.Errorf("the app runs %s", got)
	}
}

func TestInherited(t *testing.T) {
	var set config.Up
	s, err := config.Load(&set, config.Source{Environ: []string{"SIDEREAL_APP=chat"}})
	if err != nil {
		t.Fatal(err)
	}
	environ := []string{"PATH=/bin", "SIDEREAL_APP=chat", "SIDEREAL_REDIS_PASSWORD_FILE=/run/p", "SIDEREAL_SUPERVISOR_FD=3", "PORT=80"}
	if got := strings.Join(Inherited(environ, s), " "); got != "PATH=/bin PORT=80" {
		t.Error(got)
	}
}
