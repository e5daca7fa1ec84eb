// Package processview formats a daemon's list for people and scripts: the tables of `list` and
// `describe`, the JSON of `jlist` with PM2's keys, and lines of logs. Callers pass a
// [daemon.Listing]; the package only writes.
//
// To fit a terminal, a table first drops its least important columns and then cuts its longest
// texts.
package processview
