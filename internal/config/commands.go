package config

import (
	"strconv"
	"strings"
)

// Up has the settings of `sidereal up`, which runs a whole host.
type Up struct {
	Door
	Redis
	App
	// Number of workers: `max` or 0 for one per core, a negative number for that many fewer.
	Instances string `env:"SIDEREAL_INSTANCES" envDefault:"max" form:"instances" short:"i"`
	Admin
	Dashboard
	API
	Routing
	Limits
	Requests
	Upstreams
	TLS
	Redirect
	Cluster
	Clients
	AdminUI
	Stopping
	Liveness
	Log
}

// Daemon is what `sidereal start` reads, and the daemon that it starts.
type Daemon struct {
	Home
	AppDoor
	NodeApps
	Redis
	App
	Admin
	Dashboard
	API
	Routing
	Limits
	Requests
	Upstreams
	TLS
	Redirect
	Cluster
	Clients
	AdminUI
	Stopping
	Liveness
	LogFiles
	Log
}

// Control is what the commands read that talk to a daemon.
type Control struct {
	Home
}

// Router is what `sidereal router` reads.
type Router struct {
	Door
	Redis
	App
	Admin
	Routing
	Limits
	Requests
	Upstreams
	TLS
	Redirect
	Stopping
	Log
	Child
}

// Worker is what a worker reads, `sidereal worker` or a program of one's own.
type Worker struct {
	Door
	Redis
	App
	WorkerAdmin
	Cluster
	Clients
	AdminUI
	Stopping
	Log
	Child
}

// APIServer is what `sidereal api` reads.
type APIServer struct {
	Redis
	App
	Admin
	API
	TLS
	Cluster
	Stopping
	Log
	Child
}

// Emitter is what emitter.FromEnv reads, in a process that serves no clients.
type Emitter struct {
	Redis
	Cluster
}

// Inspect is what `sidereal cluster` and `sidereal trace` read.
type Inspect struct {
	Redis
	App
	Admin
}

// Rebalance is what `sidereal rebalance` reads.
type Rebalance struct {
	Redis
	App
	Shares
}

// Healthcheck is what `sidereal healthcheck` reads.
type Healthcheck struct {
	Admin
}

// EmbeddedRedis is what the child process that is the embedded Redis reads.
type EmbeddedRedis struct {
	Redis
	Log
	Child
}

// NodeHost is what the child process reads that makes workers of Node processes.
type NodeHost struct {
	Door // of the host's router
	Redis
	App
	Cluster
	Stopping
	Log
	Child
}

// Count is how many processes a value of SIDEREAL_INSTANCES asks for on a host with so many cores; at least 1.
func Count(instances string, cores int) int {
	n, err := strconv.Atoi(instances)
	if err != nil || n == 0 { // max
		return max(cores, 1)
	}
	if n < 0 {
		return max(cores+n, 1)
	}
	return n
}

// IsOff reports whether an admin address says that there is no admin port.
func IsOff(addr string) bool { return addr == "" || strings.EqualFold(addr, "off") }
