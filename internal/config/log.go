package config

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
)

// Logger makes the logger that the settings ask for. Color is for terminals, and only with the console format.
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

// milliseconds stamps lines more finely than zerolog's Timestamp, whose format is a variable of the whole program.
type milliseconds struct{}

func (milliseconds) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format("2006-01-02T15:04:05.000Z07:00"))
}

// Terminal reports whether a person reads f.
func Terminal(f *os.File) bool { return isatty.IsTerminal(f.Fd()) }

// Color reports whether lines to f may be colored: on a terminal, or where FORCE_COLOR says so, which a supervisor sets
// for children whose lines it prints on one; never with NO_COLOR.
func Color(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && (Terminal(f) || os.Getenv("FORCE_COLOR") != "")
}
