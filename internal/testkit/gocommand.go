package testkit

import (
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"testing"
)

// Go returns a go command. The race detector needs C, and everything would be compiled anew for that:
// the command does without, as the Makefile does.
func Go(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	return cmd
}
