package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// program is where the daemon keeps its copy of this program, if it needs one.
func (h Home) program() string { return filepath.Join(string(h), "bin", "sidereal") }

// keepProgram returns the command line of this program for all that the daemon starts. Below a
// folder node_modules, the program disappears whenever npm installs something else there or clears
// the cache of npx, and the daemon couldn't start a router again. So it copies the program into the
// home folder, which only the daemon with the lock does.
func (h Home) keepProgram(program []string) ([]string, error) {
	if len(program) == 0 || !slices.Contains(strings.Split(filepath.Dir(program[0]), string(filepath.Separator)), "node_modules") {
		return program, nil
	}
	if err := copyProgram(program[0], h.program()); err != nil {
		return nil, fmt.Errorf("daemon: copy the program out of node_modules: %w", err)
	}
	return slices.Concat([]string{h.program()}, program[1:]), nil
}

// copyProgram replaces a program at once, as another daemon's processes may still run the old one.
func copyProgram(from, to string) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), "new-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(0o700), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		_ = os.Remove(out.Name())
	}
	return err
}
