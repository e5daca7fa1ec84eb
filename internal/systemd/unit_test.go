package systemd

import (
	"strings"
	"testing"
	"time"
)

func TestUnit(t *testing.T) {
	text := Unit{
		Description: "100% of ann", User: "ann", Command: []string{"/opt/my apps/sidereal", "resurrect", `a"b\c`, "$HOME", ""},
		Env: []string{"PATH=/bin", "X=a b%n"}, StopTimeout: 50 * time.Second,
	}.Text()
	for _, line := range []string{
		"Description=100%% of ann", "User=ann", "Environment=PATH=/bin", `Environment="X=a b%%n"`,
		`ExecStart="/opt/my apps/sidereal" resurrect "a\"b\\c" $$HOME ""`, "TimeoutStopSec=50", "RestartPreventExitStatus=2", "WantedBy=multi-user.target",
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("%s is missing in\n%s", line, text)
		}
	}
	if strings.Contains(Unit{Command: []string{"/x"}}.Text(), "User=") {
		t.Error("root needs no user")
	}
}
