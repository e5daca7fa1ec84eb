// Package guardian ends what a daemon leaves behind, however the daemon ends.
//
// The kernel kills a daemon's children with it, but not theirs: of npm, a shell and Node, the last
// one would live on. So a guardian, which is a process of its own, starts the daemon and outlives
// it. On Linux both take over the orphans below them (PR_SET_CHILD_SUBREAPER), also those that left
// their process group or session. When the daemon has ended, the guardian kills all that is left.
// When the guardian has, the daemon does the same and ends.
//
// If both are killed at the same moment, the kernel still kills the daemon's children, and nobody
// kills theirs.
package guardian
