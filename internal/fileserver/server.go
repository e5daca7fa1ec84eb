package fileserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds for clients.
const (
	headerTimeout = 10 * time.Second // to send a request
	writeTimeout  = time.Minute      // to take a part of a file
	idleTimeout   = time.Minute      // between two requests
	stopTimeout   = 10 * time.Second // to take what was asked for when the server stops
	maxHeader     = 16 << 10         // bytes
)

// Run serves until ctx ends. It then finishes the answers that it has begun. It writes one line to
// out when it listens.
func Run(ctx context.Context, cfg Config, out io.Writer, log *slog.Logger) error {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		if !cfg.Shared {
			return nil
		}
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errors.Join(err, failed)
	}}
	network := "tcp"
	if cfg.Host == "0.0.0.0" {
		network = "tcp4"
	}
	l, err := config.Listen(ctx, network, net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: Handler(cfg, log), ReadTimeout: headerTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	fmt.Fprintf(out, "Exposing %s directory on %s\n", cfg.Folder, l.Addr())
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err = server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
