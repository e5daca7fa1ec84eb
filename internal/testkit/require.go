package testkit

import (
	"os"
	"os/exec"
	"testing"
)

// requireEnv turns skips into failures.
const requireEnv = "TESTKIT_REQUIRE"

// Need returns the path of a program that the test cannot do without. If it is not installed the
// test is skipped, or fails where TESTKIT_REQUIRE is set.
func Need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv(requireEnv) != "" {
		t.Fatalf("%s is not installed, and %s asks for every test", program, requireEnv)
	}
	t.Skipf("%s is not installed; `make test` installs it", program)
	return ""
}
