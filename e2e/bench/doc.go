// Bench compares Sidereal with what it replaces, in one run on one machine: CPU time of all
// processes of each system per message, memory per connection, and messages that got lost, which
// must be none. It writes docs/performance.md.
//
//	go run ./e2e/bench -quick                  # one to two minutes, to standard output
//	go run ./e2e/bench -o docs/performance.md  # what `make bench-scale` runs
//	go run ./e2e/bench -only fan-out,echo-open
//	go run ./e2e/bench -only echo-closed -profile /tmp/profiles   # a perf recording per system
//
//	go run ./e2e/bench hosts -hosts 1,2,4,8    # how cost grows with hosts: `make bench-hosts`
//	go run ./e2e/bench storm -clients 10000    # the death of a host: `make bench-storm`
//
// The systems are in systems.go, the items of work in one file each (echo.go, fanout.go, ...), the
// targets of the design in targets.go, routers before the same workers in routed.go. Everything
// runs on loopback in processes of its own that this one starts and ends. The load comes from this
// process, which is never counted: clients here speak the bytes of the official client with as
// little work as can be.
//
// Two systems are left out where they can't run: the limit without a C compiler, and Bun without
// `npm ci` in e2e/bench/bun.
//
// Each item runs in rounds that take turns between the systems, so that whatever else the machine
// does meets all of them, and reports medians with the range. Ratios are taken within a round, and
// their median is shown.
package main
