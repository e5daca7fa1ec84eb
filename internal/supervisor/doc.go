// Package supervisor starts processes, watches them, restarts them and stops them in order. It runs any program and knows
// nothing of what they do.
//
// A [Supervisor] is made of places, one for each [Spec], which may come and go while it runs. Each place has one process at a
// time, but during a reload, when the successor starts beside the one that still serves. All state belongs to one goroutine,
// Run's, which other goroutines send functions to: one per process waits for its end, one reads its line, one or two its output.
//
//	spec.go       what is to run at a place, and by which rules
//	command.go    what others may ask for: Add, Remove, Start, Stop, Restart, Signal, Send
//	place.go      from one process at a place to the next; backoff.go: when it comes, and when no more does
//	child.go      a process: what it inherits, its line, its end; stream.go, output.go: what it writes; input.go: what it is given to read
//	readiness.go  when it counts as ready
//	alive.go      how one is found that hangs, or takes too much memory
//	agent.go      processes that another one of ours looks after, and the hook by which they are bound to it
//	reload.go     replacing processes without a gap
//	stop.go       asking processes to end, stage by stage
//
// What binds a child to its supervisor:
//
//   - A line (package lifeline): the child reports that it is ready or draining, beats, is told what it needs to know, and learns
//     by end of file that the supervisor is gone.
//   - Pdeathsig on Linux, for programs that do not read the line. The kernel binds it to the thread that forked, which is
//     why Run keeps its thread.
//   - A process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone, which then stops the children
//     in order; and so that what a child started ends with it.
//
// Children inherit nothing else: Run closes to them whatever this process has open.
//
// Listening sockets ([Listen]) may be held here and inherited by a child, so that its restart refuses no connection: the
// kernel queues them meanwhile.
//
// A crash loop is told by a window over the last lives of a place ([RestartRule]), which slides with each end: it makes no
// difference when the loop began, or how long the waits in it are.
//
// [RuntimeDir] is the private folder for the sockets of one supervisor and its children.
//
// Supervisor's methods may be called concurrently. Run may be called once. Commands return when Status shows that they were
// taken, not when they are done: [Supervisor.Wait] tells.
package supervisor
