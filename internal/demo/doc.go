// Package demo is the app that `sidereal up` runs without an app of yours. The benchmarks and the
// compose file use it too. It has events that show what a cluster can do (echo, rooms, counts, who
// serves whom) and a chat page that uses them.
//
// Scripts and load generators may rely on the events in events.go. Those in presence.go belong to
// the page.
package demo
