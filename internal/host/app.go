package host

import (
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// Kind says how the processes of an app become workers.
type Kind int

const (
	// NodeCluster processes are Node workers. A node host plays the primary of Node's cluster for
	// them, and they share ports.
	NodeCluster Kind = iota
	// NodeFork processes are Node processes with an IPC channel. They open their own ports, and no
	// router serves them.
	NodeFork
	// Worker processes are Go programs that use package worker. They report over their line.
	Worker
	// Program processes can be anything. Each gets a free port, and a node host makes it a worker
	// once it answers there.
	Program
	// Alone processes can be anything. They open their own ports, and no router serves them.
	Alone
)

// NodeHosted reports whether a node host looks after the processes.
func (k Kind) NodeHosted() bool { return k != Worker && k != Alone }

// Channeled reports whether the processes get an IPC channel of Node.
func (k Kind) Channeled() bool { return k == NodeCluster || k == NodeFork }

// Routed reports whether a router can serve the processes.
func (k Kind) Routed() bool { return k != NodeFork && k != Alone }

// App describes an app and its processes.
type App struct {
	// Key begins the names of the app's places. Empty names the only app of a host, whose places
	// are "router", "nodehost" and "worker-1".
	Key string

	// Name is what people call the app, for messages. Empty for the only app of a host, whose
	// messages need none.
	Name string

	Kind Kind

	// SharedNodeHost has the app use the node host that all such apps of a host share. It is for
	// NodeFork.
	SharedNodeHost bool

	Settings Settings

	// Port is the port that the app's processes are known to want, if Settings.Addr is empty. Zero
	// means 8080.
	Port int

	// Variables are the settings as an environment: services and workers read them.
	Variables []string

	Processes []Process
}

// Settings are the settings of an app that its host reads.
type Settings struct {
	config.Redis
	config.App
	config.NodeApps
	config.Routing
	config.Upstreams
	config.TLS
	config.Redirect
	config.Cluster
	config.Stopping
	config.Liveness
	config.API
	Addr      string // where clients reach the app; empty if its processes decide
	Advertise string // how other hosts reach the app; empty to find out
}

// stopTimeout is how long a process may take that drains. It cuts off what is left by itself, so
// the supervisor waits a second longer.
func (s *Settings) stopTimeout() time.Duration { return s.DrainDelay + s.ShutdownTimeout + time.Second }

// Process describes one process of an app.
type Process struct {
	// Spec holds what the app decides: name, command, folder, environment, streams, rules. Plan
	// fills in the rest.
	supervisor.Spec

	Slot          int           // the number of the process on its host, from 1
	Interpreted   bool          // Command begins with an interpreter, which takes Node's options behind it
	WaitReady     bool          // the process says by itself when it is ready
	ListenTimeout time.Duration // when a Node process counts as ready without having said so
}

// RouterPlace names the place of the app's router.
func (a *App) RouterPlace() string { return a.place("router") }

// APIPlace names the place of the app's HTTP API.
func (a *App) APIPlace() string { return a.place("api") }

// NodeHostPlace names the place of the node host that looks after the app's processes.
func (a *App) NodeHostPlace() string {
	if a.SharedNodeHost {
		return SharedNodeHostPlace
	}
	return a.place("nodehost")
}

// IsNodeHost reports whether a place is that of a node host.
func IsNodeHost(place string) bool {
	return place == SharedNodeHostPlace || strings.HasSuffix(place, "/"+SharedNodeHostPlace)
}

func (a *App) place(service string) string {
	if a.Key == "" {
		return service
	}
	return a.Key + "/" + service
}

// group is what a reload of the app replaces.
func (a *App) group() string {
	if a.Key == "" {
		return OnlyGroup
	}
	return a.Key
}

// OnlyGroup is the supervisor's group of the processes of a host with one app.
const OnlyGroup = "workers"
