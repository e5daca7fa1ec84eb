// Command flakes looks for tests that fail now and then. `make flakes` runs it.
//
// It runs the tests of the packages again and again, each time under another hostile condition:
// one, two and four threads, the race detector, every core busy with something else, a single core,
// an empty build cache. With -full it clones the repository instead and runs `make test` there, a
// fresh clone for each round. At the end it prints a table: package, test, condition, failures out
// of runs, and the first line of the failure. The whole output of each failure is kept in a folder.
// The exit code is 1 if anything failed, and 2 if the tests could not be run.
//
// The program's own busy loops are goroutines, so they end with it, whatever it ends by. It signals
// only the process groups that it started, by their numbers.
package main
