// Package node serves unmodified Node.js workers: it is the primary that Node's cluster module
// expects, and the way of routers to the workers. docs/adr/0011 explains the design.
//
// A [Host] (the node host) serves the processes of one app on one machine. The supervisor tells it
// about processes (package lifeline), and it reports what becomes of them. [ChannelHook] and
// [PortHook] are the supervisor's side: they give a process its channel or port.
//
//	host.go       what the supervisor tells
//	child.go      a Node process: its messages, by what they are for
//	channel.go    its IPC channel: frames both ways, descriptors to it (package ipc has the bytes)
//	cluster.go    the messages of Node's cluster module; ports.go: what a process listens on
//	acceptor.go   connections for servers that no router can serve
//	preload.go    what our script in the process does (preload.js)
//	endpoint.go   where routers reach a process: a record in the directory, and a handoff socket
//	connect.go    how a process is given a router's connection
//	gate.go       a client's connection, whose bytes pass only after a 101
//	program.go    any other program, which has a port of its own
//	conversation.go  its requests and answers, by which its sessions are counted
//	ear.go        the messages that scripts overhear on PM2's bus
//	hook.go       how the supervisor starts these processes
//
// Messages of @socket.io/cluster-adapter:
//
//	group.go      to the other workers of this host, unchanged
//	bridge.go     to servers beyond it, through an adapter of each worker's own
//	messages.go   both generations of the adapter's messages; parse.go: what we accept of them
//	outward.go    what a worker asks of other servers
//	namespace.go  what other servers ask of a worker: its namespace as package adapter sees it
//	remotes.go    the servers beyond this host, as a worker counts them
//
// # What a process can do
//
// A process may send anything: malformed, huge, deep, cyclic, endless. Package ipc limits the size
// of frames. The host counts a frame that it can't read and ignores it. If it can't find where a
// frame ends, it closes the channel. It limits the bytes and descriptors that wait for a process
// that doesn't read. Beyond that limit it closes the channel, and a cluster worker ends with its
// channel. No other process notices: each has a reader, a queue and a writer of its own, and
// relaying a message never waits.
//
// # Promises
//
// A worker's messages that expect no answer reach each other worker and each other server in the
// order in which they were sent. When a worker ends, the others are told at once.
//
// All methods may be called concurrently, except that the supervisor's lines come one at a time.
// Run owns all goroutines.
package node
