// Package systemd is what a service that systemd started hears from it and says to it: listening
// sockets that it opened (sd_listen_fds, socket activation) and readiness (sd_notify). Without
// systemd both do nothing.
//
// Both read environment variables that are for this process only, and remove them, so that no child
// mistakes them for its own. Call them once, before other goroutines look at the environment.
package systemd
