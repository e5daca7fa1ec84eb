package lifeline

import (
	"archive/zip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// ClientFiles is the name of an archive in the folder of a supervisor: the files of the browser
// client, for workers whose programs have none.
const ClientFiles = "client.zip"

// WriteClient writes the files of the browser client into the folder of a supervisor.
func WriteClient(dir string, files fs.FS) (err error) {
	out, err := os.OpenFile(filepath.Join(dir, ClientFiles), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	archive := zip.NewWriter(out)
	return errors.Join(archive.AddFS(files), archive.Close(), out.Close())
}

// Client returns the files that the supervisor with this folder has written. They are read anew at
// each use: browsers keep them, so uses are few.
func Client(dir string) fs.FS { return client(filepath.Join(dir, ClientFiles)) }

// client is the path of the archive.
type client string

// Open opens a file of the archive.
func (c client) Open(name string) (fs.File, error) {
	archive, err := zip.OpenReader(string(c))
	if err != nil {
		return nil, err
	}
	f, err := archive.Open(name)
	if err != nil {
		return nil, errors.Join(err, archive.Close())
	}
	return clientFile{f, archive}, nil
}

// clientFile is an open file that closes its archive, too.
type clientFile struct {
	fs.File
	archive *zip.ReadCloser
}

// Close closes the file and the archive.
func (f clientFile) Close() error { return errors.Join(f.File.Close(), f.archive.Close()) }
