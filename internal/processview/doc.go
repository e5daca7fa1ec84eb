// Package processview shows people and scripts what a daemon runs: the tables of `list` and
// `describe`, the JSON of `jlist` with PM2's keys, lines of logs. It asks nobody and changes
// nothing: it is given a [daemon.Listing] and writes.
//
// A table fits the terminal: first its least important columns go, then its longest texts are cut.
package processview
