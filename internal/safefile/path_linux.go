package safefile

import "golang.org/x/sys/unix"

// folderFlags open a folder to go through it, which needs no right to list it.
const folderFlags = unix.O_PATH
