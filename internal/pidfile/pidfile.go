// Package pidfile writes and removes pid files, also in folders that other users may write to.
package pidfile

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/sidereal-io/sidereal/internal/safefile"
)

// Write writes the id of a process to a file.
func Write(path string, pid int) error {
	f, err := safefile.Open(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(pid))
	}
	return errors.Join(err, f.Close())
}

// maxPID bounds what is read of a pid file.
const maxPID = 32

// Remove removes the file of a process that has ended. It leaves the file of its successor alone.
func Remove(path string, pid int) error {
	f, err := safefile.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxPID))
	if err == nil && strings.TrimSpace(string(raw)) == strconv.Itoa(pid) {
		err = safefile.Remove(path)
	}
	return err
}
