// Package daemon runs apps in the background and takes commands. `sidereal start` starts it, and
// all process commands talk to it.
//
// Each home folder (SIDEREAL_HOME, by default ~/.sidereal) has one daemon. [Ensure] finds it or
// starts it detached, [Connect] only finds it, and [Run] is the daemon itself. The process that
// holds the lock in the home folder owns the folder. The kernel frees the lock with the process: a
// second daemon ends at once and its caller uses the first, and a daemon replaces the socket that a
// dead one left. If a daemon dies, its processes end with it (package supervisor).
//
// The daemon keeps the home folder, the control socket, the list of processes, their logs and the
// saved list. Package host runs the apps: their processes, routers, node hosts, ports and Redis.
// The daemon describes an app ([pm2.App]) to the host:
//
//	cluster_mode                      Node workers, which share ports
//	fork_mode, the interpreter Node   Node processes with an IPC channel and ports of their own
//	fork_mode, our Go module          Go workers, found by the module in the binary
//	fork_mode, anything else          programs; each gets a free PORT, and is routed once it answers
//
// One goroutine owns the list (registry.go): commands send it functions, and no other goroutine
// reads or changes it. A command that changes the processes of an app holds the app (hold.go).
//
//	home.go, spawn.go, client.go      what commands call
//	protocol.go                       what commands and daemon say to each other
//	server.go, start.go, actions.go   carry commands out; await.go waits for their effects
//	application.go, specs.go          describe an app to the host
//	restore.go                        puts the home folder back if somebody removes it
//	sink.go, logs.go                  take the lines of processes to files and to `sidereal logs`
//	bus.go, changes.go                PM2's bus, for scripts that require("pm2")
//	watch.go, pid.go, dump.go         watched files, pid files, the saved list
//
// The protocol is HTTP and JSON over a unix socket. Only the same user gets in: the folder is 0700,
// and the kernel says who connects. Paths begin with the protocol's version. A command that takes
// time answers with a stream of [Event]s, and the last one says how it ended.
//
// A Client may be used concurrently. Run may be called once in a process.
package daemon
