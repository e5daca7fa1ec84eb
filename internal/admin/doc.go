// Package admin is the operator's HTTP of a process, or of a whole host: /healthz (the process lives), /readyz (it serves,
// or why not), /metrics (Prometheus), /status, /cluster and /trace (JSON) and a page at / that shows it.
//
// Over loopback, requests for the name of another host are refused (host.go).
//
// Each child of a supervisor serves its own on a unix socket in the runtime folder ([Socket]). The supervisor's serves on
// TCP and adds the children's metrics to its own ([Aggregate]), each with the label process.
//
// A Server's Run owns its goroutines. Everything may be called concurrently.
package admin
