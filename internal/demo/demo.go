package demo

import (
	"context"
	"embed"
	"io/fs"
	"net/http"
	"os"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

var (
	//go:embed page
	page embed.FS
	//go:embed bundle
	bundle embed.FS
)

// Bundle returns the embedded browser bundles of socket.io-client, or nil if the binary has none.
func Bundle() fs.FS {
	files, err := fs.Sub(bundle, "bundle")
	if err != nil {
		return nil
	}
	if _, err := fs.Stat(files, "package.json"); err != nil {
		return nil
	}
	return files
}

// App registers the demo on a worker's server. It is a worker.App.
func App(ctx context.Context, io *socketio.Server) error {
	files, err := fs.Sub(page, "page")
	if err != nil {
		return err
	}
	io.Handle("GET /", http.FileServerFS(files))
	d := &demo{io: io, me: worker.InfoFrom(ctx), pid: os.Getpid()}
	d.answerEvents()
	d.keepPresence()
	return nil
}

// demo is the app on one worker.
type demo struct {
	io  *socketio.Server
	me  worker.Info
	pid int
}
