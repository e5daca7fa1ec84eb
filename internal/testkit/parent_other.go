//go:build unix && !linux

package testkit

import "syscall"

// endWithParent has no equivalent here: a test process that is killed leaves its children.
func endWithParent() *syscall.SysProcAttr { return nil }
