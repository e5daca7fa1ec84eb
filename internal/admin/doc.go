// Package admin serves operators over HTTP: /healthz (the process lives), /readyz (it serves, or
// why not), /metrics (Prometheus), /status, /cluster and /trace (JSON), and a page at / for people.
//
// Over loopback it refuses requests for another host's name (host.go).
//
// Each child of a supervisor serves on a unix socket in the runtime folder ([Socket]). The
// supervisor serves on TCP and adds the children's metrics to its own ([Aggregate]), with the label
// process.
//
// A Server's Run owns its goroutines. Everything may be called concurrently.
package admin
