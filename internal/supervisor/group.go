package supervisor

import (
	"os/exec"
	"sync"
	"syscall"
)

// group is the process group of a child. Its methods may be called concurrently, and do nothing
// once the child has been reaped: its number may be another process's by then.
type group struct {
	cmd  *exec.Cmd
	tree Tree

	mu     sync.Mutex // held while the group is signaled or the child reaped
	reaped bool
}

func (g *group) pid() int { return g.cmd.Process.Pid }

// signal sends a signal to the child and, as its spec has it, to the processes below it.
func (g *group) signal(sig syscall.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reaped {
		return
	}
	if g.tree != TreeToo {
		syscall.Kill(g.pid(), sig)
		return
	}
	for _, pid := range strangers(g.pid()) {
		syscall.Kill(pid, sig)
	}
	syscall.Kill(-g.pid(), sig)
}

// kill ends the child and, as its spec has it, all that it started.
func (g *group) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reaped {
		return
	}
	if g.tree == TreeSpare {
		syscall.Kill(g.pid(), syscall.SIGKILL)
		return
	}
	if g.tree == TreeToo {
		for _, pid := range strangers(g.pid()) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	syscall.Kill(-g.pid(), syscall.SIGKILL)
}

// killRestLocked ends what is left of the group after the child's end.
func (g *group) killRestLocked() {
	if !g.reaped && g.tree != TreeSpare {
		syscall.Kill(-g.pid(), syscall.SIGKILL)
	}
}
