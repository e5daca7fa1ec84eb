//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopPatience is how long a process may take to end by itself before it is killed.
const stopPatience = 8 * time.Second

// process is a program that we started, the leader of a process group of its own.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed once it was reaped

	mu   sync.Mutex
	last []string // the end of its output
}

// start runs a program with env added to ours. It ends with us, whatever we die of.
func start(name string, env []string, program string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	err = p.cmd.Start()
	writer.Close()
	if err != nil {
		reader.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.keepOutput(reader)
	go func() {
		_ = p.cmd.Wait() // how it ended shows in its output
		close(p.done)
	}()
	return p, nil
}

func (p *process) keepOutput(r io.ReadCloser) {
	defer r.Close()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		p.mu.Lock()
		if p.last = append(p.last, lines.Text()); len(p.last) > 20 {
			p.last = p.last[1:]
		}
		p.mu.Unlock()
	}
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.last, "\n")
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks the process to end, and kills its group if it does not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopPatience):
	}
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL) // the group is ours: what is left of it must not stay
	<-p.done
}
