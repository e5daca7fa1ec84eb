//go:build unix && !linux

package supervisor

import "syscall"

// attributes puts a child into a group of its own. It learns of our end by its line only.
func attributes(user *User) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: user.credential()}
}

// keepDescriptors does nothing: Go opened all open files, or a trusted shell left them open.
func keepDescriptors() {}

// reap waits for the child's end and ends what the child left behind in its group.
func (g *group) reap() error {
	err := g.cmd.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.killRestLocked()
	g.reaped = true
	return err
}
