//go:build unix && !linux

package safefile

import "golang.org/x/sys/unix"

const folderFlags = unix.O_RDONLY
