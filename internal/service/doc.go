// Package service has the processes that a host starts beside an app's own: the router, the
// embedded Redis and the node host. `sidereal router` is also a service by itself, before a list of
// servers or before workers on other hosts.
//
// Each service runs until its context ends, and drains then. If its supervisor dies, the process
// ends on the spot.
package service
