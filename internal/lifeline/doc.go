// Package lifeline binds a process to its supervisor: it tells the process that it has to end, by a
// signal ([OnSignals]) or because the supervisor did ([Line]), and carries what the two tell each
// other meanwhile.
//
// The line is a connected unix stream socket, one per child: the child's end is a [Line], whose
// descriptor is in SIDEREAL_SUPERVISOR_FD, the supervisor's an [End]. End of file means that the
// supervisor is gone, however it ended, and that the child must end at once: an orphan would go on
// serving sessions that nobody routes to any more.
//
// Both sides write lines, key=value, without line breaks in them. A line about a descriptor brings
// it along (SCM_RIGHTS, with the line's first byte, one for each such line, in order). Structured
// values are JSON.
//
//	child to supervisor         value
//	worker=, ready=, draining=  what it is, that it serves, that it takes nothing new
//	alive=                      a beat, every [BeatInterval], which Line.Run sends by itself; it begins with the first
//	                            report. The value is the interval in milliseconds. A supervisor may end a child that has
//	                            beaten and stops to
//	child=                      [ChildReport]: from a process that looks after children of the same supervisor (nodehost)
//	listen=                     [ListenReport]: one of these wants to be served at an address
//
//	supervisor to child         value
//	channel= and a descriptor   [ChannelTold]: the parent's end of a Node process' IPC channel, to a nodehost
//	port=                       [PortTold]: a program that serves HTTP at an address of its own, to a nodehost
//	exited=                     the id of one of these children that has ended
//	drain=                      the id of one whose sessions are to be moved elsewhere; it is stopped when that is reported
//	send=                       [SendTold]: a message for one of them
//	listened=                   [ListenedTold]: the answer to listen=
//	listener= and a descriptor  an address that the child is to serve as well, to a router
//	silent=, heard=             the id of a worker that gives no sign of life, and of one that does again, to a router
//	advertise=                  how other hosts reach this one, in place of SIDEREAL_ADVERTISE: a door opens when it is needed
//
// Keys that are not known are ignored, so that either side may be newer. Any other report is an
// attribute, which the supervisor keeps for those who ask about the process.
//
// No supervisor is a nil *Line: it takes reports and forgets them, and its Run waits for ctx.
// Everything may be called concurrently.
package lifeline
