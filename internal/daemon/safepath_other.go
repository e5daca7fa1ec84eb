//go:build unix && !linux

package daemon

import "golang.org/x/sys/unix"

const folderFlags = unix.O_RDONLY
