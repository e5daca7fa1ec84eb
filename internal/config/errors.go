package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// ValueError reports a setting whose value breaks its rule. Only an operator can fix it: the
// process ends with exit code 2, and Error is the one line that says why.
type ValueError struct {
	Variable string
	Value    string // empty if it isn't set; hidden for a secret
	From     string // as in [Value]; shown if it isn't the variable itself
	Rule     string // "must be ...", or another fault
}

func (e *ValueError) Error() string {
	var b strings.Builder
	b.WriteString(e.Variable)
	if e.Value != "" {
		fmt.Fprintf(&b, "=%q", e.Value)
	}
	if e.From != "" && e.From != fromEnvironment(e.Variable) {
		fmt.Fprintf(&b, " (from %s)", e.From)
	}
	b.WriteString(" ")
	b.WriteString(e.Rule)
	return b.String()
}

// Exit codes of every command.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitUsage  = 2 // wrong usage or configuration: only an operator can fix it
)

// ExitCode returns the exit code of a process that ends with err.
func ExitCode(err error) int {
	var value *ValueError
	var redis *redisconn.ConfigError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &value), errors.As(err, &redis),
		errors.Is(err, redisconn.ErrAuth), errors.Is(err, redisconn.ErrRights), errors.Is(err, redisconn.ErrDatabase):
		return ExitUsage
	}
	return ExitFailed
}
