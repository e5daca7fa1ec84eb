// Package daemon runs apps in the background and takes commands: it is what `sidereal start` starts, and what all process
// commands talk to.
//
// There is one daemon for each home folder (SIDEREAL_HOME, default ~/.sidereal). [Ensure] finds it or starts it detached,
// [Connect] only finds it, [Run] is the daemon itself, in the foreground. Who owns what is decided by a lock in the home
// folder, which the kernel frees with the process that held it: a second daemon ends at once, a socket that a dead one left
// behind is replaced, and of two commands that start a daemon at the same time one wins and both use it. A daemon that dies
// takes all its processes along (package supervisor), so that no worker is ever without an owner.
//
// An app ([pm2.App]) becomes places of one supervisor:
//
//	<app> router     one, for an app that is reached through a port. The daemon holds the listening sockets
//	<app> nodehost   one, for an app of Node processes, or of programs with a port of their own
//	<app>-<id>       its processes, which commands and lists call by id, name, namespace or an expression (target.go)
//	redis            one for all apps that have no SIDEREAL_REDIS_URL
//	nodehost         one for all apps of merely forked Node processes, unless they run as another user
//
// home.go, spawn.go and client.go are the commands' side, protocol.go is what both sides speak.
// Behind server.go, start.go and act.go carry commands out, await.go waits for what they led to,
// specs.go says what runs, door.go opens ports, redis.go looks after the embedded Redis, sink.go
// and logfile.go take the processes' lines. safepath.go opens files where others may write.
//
// A port is opened when it is known who serves it: at once for Go workers, else when the first worker listens, or is ready
// without listening: then at PM2_PORT or SIDEREAL_ADDR, or else 8080. Every app has its own, and its own SIDEREAL_APP
// in the directory; a second app that wants a port of another is told so.
//
// What an app's processes are:
//
//	cluster_mode                      Node workers: an IPC channel in `advanced`, cluster.isWorker; they share ports
//	fork_mode, the interpreter Node   a forked Node process: an IPC channel in `json`; its ports are its own business
//	fork_mode, a Go worker of ours    found by the module in the binary; reports over its line
//	fork_mode, anything else          gets a free loopback PORT of its own, and is routed once it answers there
//
// The protocol between commands and daemon is HTTP and JSON over a unix socket, for the same user only (the folder is 0700,
// and the kernel tells who connects). Paths begin with the protocol's version. [Client] has a method for each; a command that
// takes time answers with a stream of [Event]s, the last of which says how it went.
//
// A Client may be used concurrently. Run may be called once in a process.
package daemon
