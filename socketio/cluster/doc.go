// Package cluster is the border between Socket.IO servers and the adapters that link them. Apps
// don't need it, except to give Config.Adapter a value: package adapter has clusters over Redis, and
// a [Hub] links servers of one process.
//
// A [Cluster] belongs to one server. The server opens an [Adapter] for each of its namespaces and
// hands over a [Local]. The namespace calls its Adapter to reach the sockets of other servers; the
// Adapter calls the Local to apply what other servers asked for.
//
// An Adapter that is a [RecoveringAdapter] also keeps what connection state recovery needs: a log of
// the namespace's events and a [Snapshot] of each socket. A [Lease] is the time during which one
// server has a socket; only one server has it at a time.
//
// Package adaptertest tests whether an implementation keeps these promises.
//
// Protocol: the packages socketio and engineio implement what clients see. This package has no wire
// format; each adapter has its own.
package cluster
