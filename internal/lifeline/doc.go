// Package lifeline tells a process that it has to end: by a signal ([OnSignals]), or because its supervisor did ([Line]).
//
// The line is a connected unix stream socket, one per child, whose descriptor is in SIDEREAL_SUPERVISOR_FD. The child
// reports facts as lines, key=value; the supervisor writes nothing. End of file means that the supervisor is gone, however
// it ended, and that the child must end at once: an orphan would go on serving sessions that nobody routes to any more.
//
// No supervisor is a nil *Line: it takes reports and forgets them, and its Run waits for ctx. Everything may be called
// concurrently.
package lifeline
