// Package supervisor starts processes, watches them, restarts them and stops them in order. It runs
// any program and knows nothing of what the programs do.
//
// A [Supervisor] has places, one for each [Spec]. Places may be added and removed while it runs.
// Each place has one process at a time, except during a reload, when the successor starts beside
// the process that still serves. One goroutine, Run's, owns all state, and the others send it
// functions. Each type has one life:
//
//	supervisor.go  the supervisor: what to start, what others see; command.go: what others may ask for
//	loop.go        the goroutine that owns the state, its timers, and calls of the caller's functions
//	place.go       a place: from one process to the next; backoff.go: when the next comes, and when none does
//	process.go     a process, from its start to its end; inherit.go: the files and variables it starts with
//	readiness.go   when a process counts as ready; pulse.go: when it counts as hanging
//	agent.go       a process's tie to its agent, which is another process, and the hook that makes it
//	group.go       a process group: signals, and the order of killing and reaping
//	reload.go      a reload: replacing processes without a gap
//	stop.go        a shutdown: stopping processes stage by stage
//	spec.go        what a place runs, and by which rules
//	stream.go      what a process writes, in lines; output.go: the lines of all processes in one stream
//
// A child is tied to its supervisor in three ways:
//
//   - A line (package lifeline). The child reports that it is ready or draining, beats, and is told
//     what it needs to know. End of file tells it that the supervisor is gone.
//   - Pdeathsig on Linux, for programs that don't read the line. The kernel ties it to the thread
//     that forked, which is why Run keeps its thread.
//   - A process group of its own. Ctrl-C in a terminal reaches the supervisor alone, which then stops
//     the children in order; and what a child started ends with the child.
//
// Children inherit nothing else: Run marks all other open files of this process close-on-exec.
//
// The supervisor can hold listening sockets ([Listen]) that a child inherits. The kernel queues
// connections while the child restarts, so that none is refused.
//
// A sliding window over the last lives of a place finds crash loops ([RestartRule]), whenever the
// loop began and however long the waits in it are.
//
// [RuntimeDir] is the private folder for the sockets of one supervisor and its children.
//
// Supervisor's methods may be called concurrently, and Run once. Commands return when Status shows
// that they were accepted, not when they are done: [Supervisor.Wait] waits for that.
package supervisor
