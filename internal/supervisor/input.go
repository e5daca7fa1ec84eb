package supervisor

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// inputTimeout is how long a process may take to read what it is sent, once its pipe is full.
const inputTimeout = time.Second

// addInput makes the pipe of the child's input.
func (in *inheritance) addInput(p *process) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("input: %w", err)
	}
	in.stdin, p.input = r, w
	return nil
}

// Input writes to the input of a process whose spec has one. It waits for the process to read, but not for long: the error is
// ErrNoInput where there is nobody to read it, and one that is os.ErrDeadlineExceeded where nobody does.
func (s *Supervisor) Input(name string, b []byte) error {
	var w *os.File
	err := s.each([]string{name}, func(pl *place) error {
		if pl.current == nil || pl.current.input == nil {
			return ErrNoInput
		}
		w = pl.current.input
		return nil
	})
	if err != nil {
		return err
	}
	w.SetWriteDeadline(time.Now().Add(inputTimeout))
	if _, err := w.Write(b); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		return errors.Join(ErrNoInput, err) // it has closed its end, or has just ended
	}
	return nil
}

func (p *process) closeInput() error {
	if p.input == nil {
		return nil
	}
	return p.input.Close()
}
