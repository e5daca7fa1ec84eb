// Package harness starts what the end-to-end tests talk to and break: hosts (`sidereal up` as real
// processes), the official Node clients and servers, and raw polling clients that choose another
// entry for every request.
//
// Everything listens on loopback, belongs to the test that started it and ends with it. Nothing
// waits for time to pass: processes are watched through their output, which a failing test prints.
package harness
