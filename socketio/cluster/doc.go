// Package cluster is the border between Socket.IO servers and the adapters that link them. An app
// needs it only to link the servers of one process, as tests do:
//
//	hub := cluster.NewHub()
//	one, err := socketio.New(socketio.Config{Adapter: hub})
//	two, err := socketio.New(socketio.Config{Adapter: hub})
//
// Package adapter has clusters over Redis. The rest is for authors of adapters.
//
// # Writing an adapter
//
// A [Cluster] belongs to one server. The server opens an [Adapter] for each of its namespaces and
// hands over a [Local]. The namespace calls its Adapter to reach the sockets of other servers; the
// Adapter calls the Local to apply what other servers asked for.
//
// An Adapter that is a [RecoveringAdapter] also keeps what connection state recovery needs: a log
// of the namespace's events and a [Snapshot] of each socket. A [Lease] is the time during which one
// server has a socket; only one server has it at a time.
//
// Package adaptertest tests whether an implementation keeps these promises.
//
// Protocol: the packages socketio and engineio implement what clients see. This package has no wire
// format; each adapter has its own.
package cluster
