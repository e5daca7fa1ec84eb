// Package adapterenv makes the configuration of the adapter that SIDEREAL_ADAPTER and its
// companions describe, for every process that takes part in an app: a Go worker, or the process
// that holds Node workers.
package adapterenv
