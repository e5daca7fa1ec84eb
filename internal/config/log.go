package config

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
)

// Logger makes a logger according to the settings. Color has an effect in the console format only.
func (l Log) Logger(w io.Writer, color bool) zerolog.Logger {
	level, err := zerolog.ParseLevel(l.Level)
	if err != nil || l.Level == "" {
		level = zerolog.InfoLevel
	}
	if l.Format == "console" {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !color, TimeFormat: "15:04:05.000"}
	}
	return zerolog.New(w).Level(level).Hook(milliseconds{})
}

// milliseconds adds the time with milliseconds. The format of zerolog's Timestamp is a global variable.
type milliseconds struct{}

func (milliseconds) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format("2006-01-02T15:04:05.000Z07:00"))
}

// Terminal reports whether f is a terminal.
func Terminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) }

// Color reports whether lines to f may have colors: on a terminal, or with FORCE_COLOR, which a supervisor
// sets for children whose lines it prints on a terminal. NO_COLOR turns colors off.
func Color(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && (Terminal(f) || os.Getenv("FORCE_COLOR") != "")
}
