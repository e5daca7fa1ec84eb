// Package outage holds what the adapters promise when Redis, the network, or another server fails,
// on whole processes: each test has a redis-server of its own and servers of its own, which it
// kills, freezes, cuts off, floods and lies to.
package outage
