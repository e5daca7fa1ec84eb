// Package cluster is an app's cluster as one process sees it: the Redis that the hosts share, the
// directory in it, and what operators ask about it.
//
// [Cluster] joins the connection and the directory. [Overview] sums the directory up,
// [Disagreements] finds settings that differ between workers, and [Trace] explains who owns a
// session. [Inspector] answers the commands `sidereal cluster` and `sidereal trace` from outside.
package cluster
