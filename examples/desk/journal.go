package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
)

// journal keeps what was said, a line of JSON for each message. Lines wait in memory for a while.
type journal struct {
	file *os.File

	mu    sync.Mutex
	lines *bufio.Writer
}

func openJournal(dir, worker string) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "journal-"+worker), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &journal{file: file, lines: bufio.NewWriter(file)}, nil
}

func (j *journal) add(m message) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return json.NewEncoder(j.lines).Encode(m)
}

// close writes the lines that wait. It is for Server.OnShutdown.
func (j *journal) close(context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.lines.Flush(), j.file.Close())
}
