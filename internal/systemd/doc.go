// Package systemd is a service's side of systemd: the listening sockets that systemd opened for
// it (sd_listen_fds, socket activation) and its readiness (sd_notify). Without systemd both do
// nothing.
//
// Both read environment variables that are for this process only and remove them, so that no
// child uses them. Call them once, before other goroutines read the environment.
package systemd
