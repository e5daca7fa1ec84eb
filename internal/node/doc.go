// Package node makes unmodified Node workers workers like any other: it is the primary that they know from Node's cluster,
// and the routers' way to them. docs/adr/0011 says why it is cut as it is.
//
// A [Host] serves one app on one host. The supervisor tells it of processes (package lifeline), and is told what becomes of
// them:
//
//	host.go      what the supervisor says
//	child.go     a Node process: its messages, told apart
//	channel.go   its IPC channel: frames both ways, descriptors towards it (the bytes are in package ipc)
//	cluster.go   the messages of Node's cluster module; ports.go: what it listens on
//	preload.go   what our script in the process says and does (preload.js)
//	door.go      a place in the directory with a handoff socket, one for each app of the directory
//	connect.go   a router's connection given to the process
//	gate.go      a client's connection, whose bytes go on only after a 101
//	program.go   any other program that has a port of its own
//
// Messages of @socket.io/cluster-adapter:
//
//	group.go     to the other workers of this host, as they are
//	bridge.go    and beyond it, through an adapter of each worker's own
//	messages.go  both generations of the adapter's messages
//	outward.go   what a worker wants of other servers
//	space.go     what other servers want of a worker: its namespace as package adapter sees it
//	nodes.go     the servers beyond this host, as a worker counts them
//
// # What a process can do
//
// A process may send what it likes: malformed, huge, deep, cyclic, endless. Frames are bounded (package ipc), one that cannot be
// read is counted and ignored, and a stream that cannot be cut ends its channel. What waits for a process that does not read
// is bounded in bytes, its descriptors in number; beyond it the channel ends, and with the channel a cluster worker. None of
// this is felt by another: each process has a reader, a queue and a writer of its own, and the relay of messages never waits.
//
// # Promises
//
// Messages of one worker that want no answer reach each other worker, and each other server, in the order in which they were
// sent. A worker that
// ends is told to the others at once. Everything may be called concurrently; lines of the supervisor come one at a time. Run
// owns all goroutines.
package node
