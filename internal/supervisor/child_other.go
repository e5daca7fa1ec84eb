//go:build unix && !linux

package supervisor

import "syscall"

// attributes puts a child into a group of its own. Only its line tells it of our end.
func attributes(user *User) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: user.credential()}
}

// keepDescriptors has nothing to do: what is open here was opened by Go, or left by a shell that is trusted.
func keepDescriptors() {}

// reap waits for the end of a process and ends what it left behind in its group.
func (p *process) reap() error {
	err := p.cmd.Wait()
	p.group.Lock()
	defer p.group.Unlock()
	p.killGroupLocked()
	p.reaped = true
	return err
}
