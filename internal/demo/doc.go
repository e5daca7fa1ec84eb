// Package demo is the app that `sidereal up` runs when it is given none, and that the benchmarks and the compose file use:
// a handful of events that show what a cluster can do (echo, rooms, counts, who serves whom), and a chat page on top of them.
//
// The events of events.go are promised to scripts and load generators. Those of presence.go belong to the page.
package demo
