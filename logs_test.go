package sidereal_test

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestLogFieldsSayTheirUnits looks for fields of log lines whose unit a reader would have to guess
// (docs/operations.md, "What does the log say?"), and for errors under another name.
func TestLogFieldsSayTheirUnits(t *testing.T) {
	call := regexp.MustCompile(`\b(?:Debug|Info|Warn|Error|Log|LogAttrs|With)\(.*`)
	bad := regexp.MustCompile(`"(took|after|delay|again_in|earlier_for|for|wait|age|lasted|timeout|interval|memory|ms|seconds|err|size)",`)
	walk(t, ".", func(file string) {
		if path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "e2e/") {
			return
		}
		for i, line := range strings.Split(read(t, file), "\n") {
			if m := bad.FindStringSubmatch(call.FindString(line)); m != nil && !strings.Contains(line, "Errorf") {
				t.Errorf("%s:%d: the field %q doesn't say its unit, or isn't called error: %s", file, i+1, m[1], strings.TrimSpace(line))
			}
		}
	})
}
