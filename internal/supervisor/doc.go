// Package supervisor starts processes, watches them, restarts them and stops them in order. It runs any program and knows
// nothing of what they do.
//
// A [Supervisor] is made of [Spec]s, one per place. Each place has one process at a time, but during a reload, when the
// successor starts beside the one that still serves. All state belongs to one goroutine, Run's, which other goroutines
// send functions to: one per process waits for its end, one reads its line, one its output.
//
// What binds a child to its supervisor:
//
//   - A line (package lifeline): the child reports that it is ready or draining, and learns by end of file that the
//     supervisor is gone.
//   - Pdeathsig on Linux, for programs that do not read the line. The kernel binds it to the thread that forked, which is
//     why Run keeps its thread.
//   - A process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone, which then stops the children
//     in order; and so that what a child started ends with it.
//
// Listening sockets ([Listen]) may be held here and inherited by a child, so that its restart refuses no connection: the
// kernel queues them meanwhile.
//
// [RuntimeDir] is the private folder for the sockets of one supervisor and its children.
//
// Supervisor's methods may be called concurrently. Run may be called once.
package supervisor
