// Package transport makes the adapter that SIDEREAL_ADAPTER names, for whatever process takes part in an app: a Go worker,
// or the process that holds Node workers. What is said to the adapter here, operators find in docs/configuration.md.
package transport
