// Package bench loads a Socket.IO server with clients and measures it: how fast it takes connections, how many events it
// answers, and how long an answer takes. [Run] does it all and returns a [Report].
//
// There are two kinds of load. In a closed loop each client emits its next event when the last one was acknowledged: a
// slow server gets less to do. With Config.Rate events are due by the clock, whatever the server does, and an event's
// latency counts from when it was due: the wait for a server, or for this process, that is behind is part of it.
//
// Memory is bounded by the number of clients: latencies are counted in buckets, errors by their kind, and at most
// maxUnderWay events wait for their acknowledgements.
package bench
