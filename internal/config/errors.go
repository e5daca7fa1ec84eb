package config

import (
	"errors"
	"fmt"
	"strings"
)

// ValueError is a setting whose value breaks its rule. It is the operator's to mend: the process ends with exit code 2,
// and Error is the one line that says why.
type ValueError struct {
	Variable string
	Value    string // empty for one that is not set; hidden for a secret
	From     string // as in [Value]; shown where it is not the variable itself
	Rule     string // "must be ...", or what else is wrong
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

// IsUsage reports whether an error, or any of those joined in it, is the operator's to mend: exit code 2.
func IsUsage(err error) bool {
	var v *ValueError
	return errors.As(err, &v)
}
