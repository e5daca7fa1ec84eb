// Package host runs the processes of apps on one machine. `sidereal up` is a host of one app; the
// daemon is a host of many.
//
// [Plan] decides which processes an app needs: its routers, its node host and its own processes.
// Plan is a pure function of the app and of the [Facts] that the host has found out. Tables test
// it.
package host
