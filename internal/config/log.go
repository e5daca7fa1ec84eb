package config

import (
	"io"
	"log/slog"
	"os"

	"github.com/mattn/go-isatty"

	"github.com/sidereal-io/sidereal/internal/loghandler"
)

// Logger makes a logger according to the settings. Color has an effect in the console format only.
// In JSON each line names its host and process; on a console the supervisor names the process. An
// empty host means the system's name.
func (l Log) Logger(w io.Writer, color bool, host, process string) *slog.Logger {
	var level slog.Level // info, unless the text names another one
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo
	}
	if l.Format == "console" {
		w = loghandler.Console(w, color)
	}
	if l.Format != "json" {
		return slog.New(loghandler.New(w, level))
	}
	return slog.New(loghandler.New(w, level, slog.String("host", HostName(host)), slog.String("process", process)))
}

// HostName returns name, or the system's name if that is empty.
func HostName(name string) string {
	if name != "" {
		return name
	}
	system, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return system
}

// Terminal reports whether f is a terminal.
func Terminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) }

// Color reports whether lines to f may have colors: on a terminal, or with FORCE_COLOR, which a
// supervisor sets for children whose lines it prints on a terminal. NO_COLOR turns colors off.
func Color(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && (Terminal(f) || os.Getenv("FORCE_COLOR") != "")
}
