package testkit

import (
	"runtime/debug"
	"slices"
	"testing"
)

// TestGo: its commands compile as the test was compiled, but for the race detector.
func TestGo(t *testing.T) {
	t.Setenv("CGO_ENABLED", "1")
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("the test doesn't know how it was built")
	}
	raced := slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
	out, err := Go(t, "env", "CGO_ENABLED").Output()
	if want := map[bool]string{true: "0\n", false: "1\n"}[raced]; err != nil || string(out) != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
}
