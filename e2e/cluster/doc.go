// Package cluster simulates large clusters in one process, to show what grows with the number of
// servers. A member is an adapter with one namespace, or an entry of the directory. Members have no
// sockets, but they talk to a real Redis or Redis Cluster over connections of their own, as
// processes on other hosts would.
//
//	make bench-cluster                              # 10, 100 and 300 members, for docs/scale.md
//	make bench-cluster CLUSTER_MEMBERS=10,1000      # others
//	make bench-cluster CLUSTER_PARTS=sharded        # one part: classic, sharded, streams, directory
//	make bench-cluster CLUSTER_REDIS=cluster        # on a Redis Cluster of six nodes
//
// It counts CPU time, bytes and commands of Redis by INFO, and the CPU time of this process, which
// is all members together. Other work on the machine makes a run slower and hardly changes these
// counts. The tests without the tag soak are the small form that `make test` runs: 20 members, and
// exact numbers of commands.
package cluster
