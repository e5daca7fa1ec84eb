//go:build unix && !linux

package supervisor

import "syscall"

// attributes puts a child into a group of its own. Only its line tells it of our end.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
