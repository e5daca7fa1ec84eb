// Package bench loads a Socket.IO server with clients. It measures how fast the server accepts
// connections, how many events it answers, and how long an answer takes. [Run] does it all and
// returns a [Report].
//
// There are two kinds of load. In a closed loop, each client emits its next event when the last one
// was acknowledged, so a slow server gets less load. With Config.Rate, the clock says when an event
// is due. Its latency counts from then, so it includes the time that the server, or this process,
// is behind.
//
// The number of clients bounds the memory: latencies are counted in buckets, errors by their kind,
// and at most maxUnderWay events wait for acknowledgements.
package bench
