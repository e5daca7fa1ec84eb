package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// slowReader is how long an event of a command may take to be sent.
const slowReader = 5 * time.Second

// maxRequest bounds a request: apps with their environments.
const maxRequest = 64 << 20

// Inherited returns the files that this process inherited from the command that starts it as a
// daemon. They are for the process that becomes the daemon in its place.
func Inherited() []*os.File {
	if os.Getenv(ReadyEnv) != readyFD {
		return nil
	}
	return []*os.File{os.NewFile(3, "ready")}
}

// starter is how a daemon that was started detached says how its start went, to whoever started it;
// only the first word counts.
func starter() (say func(string)) {
	fd, err := strconv.Atoi(os.Getenv(ReadyEnv))
	os.Unsetenv(ReadyEnv)
	if err != nil || fd < 3 {
		return func(string) {}
	}
	f := os.NewFile(uintptr(fd), "ready")
	var once sync.Once
	return func(word string) {
		once.Do(func() {
			fmt.Fprintln(f, word)
			f.Close()
		})
	}
}

func sayFailure(code int, why string) string {
	return fmt.Sprintf("%d %s", code, strings.ReplaceAll(why, "\n", `\n`))
}

// serveControl answers commands until ctx ends.
func (d *Daemon) serveControl(ctx context.Context, l net.Listener) error {
	prefix := fmt.Sprintf("/v%d", protocolVersion)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+prefix+"/{$}", func(w http.ResponseWriter, _ *http.Request) { answer(w, d.info()) })
	mux.HandleFunc("GET "+prefix+"/processes", func(w http.ResponseWriter, _ *http.Request) { answer(w, d.list()) })
	mux.HandleFunc("POST "+prefix+"/start", stream(d.start))
	mux.HandleFunc("POST "+prefix+"/act", stream(d.act))
	mux.HandleFunc("POST "+prefix+"/resurrect", stream(func(ctx context.Context, _ struct{}, emit func(Event)) error {
		return d.resurrect(ctx, emit)
	}))
	mux.HandleFunc("POST "+prefix+"/kill", stream(func(ctx context.Context, _ struct{}, emit func(Event)) error {
		return d.killAll(ctx, emit)
	}))
	mux.HandleFunc("POST "+prefix+"/save", d.serveSave)
	mux.HandleFunc("POST "+prefix+"/logs", d.logs.serve)
	mux.HandleFunc("POST "+prefix+"/bus", d.serveBus)
	var serving sync.RWMutex // read-locked by each command
	ended := false           // guarded by serving
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.RLock()
		defer serving.RUnlock()
		if !ended {
			mux.ServeHTTP(w, r)
		}
	})
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		server.Close()
	})
	defer func() { // waits for commands, whose context has ended
		serving.Lock()
		defer serving.Unlock()
		ended = true
	}()
	defer func() {
		if stop() {
			server.Close()
		} else {
			<-closed
		}
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("daemon: control socket: %w", err)
	}
	return nil
}

func (d *Daemon) info() Info {
	i := Info{Protocol: protocolVersion, Version: d.cfg.Version, PID: os.Getpid(), Started: d.started, Home: string(d.cfg.Home), Settings: d.cfg.Shown}
	if d.admin != nil {
		i.Admin = d.admin.Addr().String()
	}
	return i
}

func (d *Daemon) serveSave(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Force bool `json:"force"`
	}
	if !read(w, r, &req) {
		return
	}
	saved, err := d.save(req.Force)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, saved)
}

// stream serves a command whose answer is what happens, a line each, and how it ended.
func stream[T any](do func(context.Context, T, func(Event)) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req T
		if !read(w, r, &req) {
			return
		}
		out, conn := json.NewEncoder(w), http.NewResponseController(w)
		var mu sync.Mutex
		emit := func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			// A command that doesn't read, as one that is suspended, must not hold up the others:
			// it counts as gone.
			conn.SetWriteDeadline(time.Now().Add(slowReader))
			_, _ = out.Encode(e), conn.Flush() // an error is that the command has gone: what it began goes on
			conn.SetWriteDeadline(time.Time{})
		}
		err := do(r.Context(), req, emit)
		emit(Event{Done: doneOf(err)})
		debug.FreeOSMemory() // between commands the daemon does next to nothing: what this one took would stay for minutes
	}
}

func doneOf(err error) *Done {
	if err == nil {
		return &Done{}
	}
	var f *Failure
	if errors.As(err, &f) {
		return &Done{Code: f.Code, Error: f.Text}
	}
	switch {
	case errors.Is(err, supervisor.ErrNoPlace):
		return &Done{Code: config.ExitFailed, Error: "a process was started or deleted by another command meanwhile: try again"}
	case errors.Is(err, supervisor.ErrStopping):
		return &Done{Code: config.ExitFailed, Error: "the daemon is ending"}
	}
	return &Done{Code: config.ExitCode(err), Error: err.Error()}
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(into); err != nil {
		refuse(w, &Failure{Code: config.ExitUsage, Text: "unreadable command: " + err.Error()})
		return false
	}
	return true
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // as in stream
}

func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(doneOf(err)) // as in stream
}
