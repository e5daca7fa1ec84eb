package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
)

const (
	maxFile = 4 << 20
	chunk   = 64 << 10
)

// file describes an upload.
type file struct {
	Name string `json:"name"`
	Size int    `json:"size"`
	Sum  string `json:"sum"` // SHA-256 of the content, by which agents ask for it
}

// upload takes a file from a customer. Agents get the description, and the content if they ask.
func (d desk) upload(s *socketio.Socket, name string, content []byte) (file, error) {
	if len(content) == 0 || len(content) > maxFile {
		return file{}, &socketio.Error{Message: "a file has 1 byte to 4 MB", Data: len(content)}
	}
	f, err := d.files.put(name, content)
	if err != nil {
		return file{}, err
	}
	customer := userOf(s).Name
	return f, d.agents.To(room(customer)).Emit("uploaded", customer, f)
}

// read sends a file to an agent, one chunk at a time. The next chunk leaves when the agent has
// acknowledged the last one, so a slow agent costs one chunk of memory.
func (d desk) read(ctx context.Context, s *socketio.Socket, sum string) (size int, err error) {
	f, err := d.files.open(sum)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for buffer := make([]byte, chunk); ; {
		n, err := f.Read(buffer)
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return size, err
		}
		if _, err := s.EmitWithAck(ctx, "chunk", buffer[:n]); err != nil {
			return size, err
		}
		size += n
	}
}

// sweep removes uploads that are older than a day. It runs until the server ends.
func (f files) sweep(ctx context.Context) {
	for hourly := time.NewTicker(time.Hour); ; {
		select {
		case <-ctx.Done():
			hourly.Stop()
			return
		case <-hourly.C:
		}
		if err := f.removeBefore(time.Now().Add(-24 * time.Hour)); err != nil {
			slog.Warn("uploads not removed", "error", err)
		}
	}
}

func (f files) removeBefore(limit time.Time) (err error) {
	entries, err := os.ReadDir(f.dir)
	for _, e := range entries {
		info, infoErr := e.Info()
		if infoErr != nil || len(e.Name()) != 2*sha256.Size || info.ModTime().After(limit) {
			continue // gone already, not an upload, or new
		}
		err = errors.Join(err, os.Remove(filepath.Join(f.dir, e.Name())))
	}
	return err
}

// files is a folder that all hosts share. A file's name is the hash of its content.
type files struct{ dir string }

func (f files) put(name string, content []byte) (file, error) {
	hash := sha256.Sum256(content)
	sum := hex.EncodeToString(hash[:])
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return file{}, err
	}
	temporary, err := os.CreateTemp(f.dir, "upload-*")
	if err != nil {
		return file{}, err
	}
	defer os.Remove(temporary.Name()) // fails once it has its name
	_, err = temporary.Write(content)
	if err = errors.Join(err, temporary.Close()); err != nil {
		return file{}, err
	}
	return file{Name: name, Size: len(content), Sum: sum}, os.Rename(temporary.Name(), filepath.Join(f.dir, sum))
}

func (f files) open(sum string) (*os.File, error) {
	if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
		return nil, socketio.NewError("no such file")
	}
	opened, err := os.Open(filepath.Join(f.dir, sum))
	if errors.Is(err, os.ErrNotExist) {
		return nil, socketio.NewError("no such file")
	}
	return opened, err
}
