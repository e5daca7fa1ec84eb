package main

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/sockets"
)

// The admin port moves where it is the default, and is insisted on where it was chosen.
func TestAdminPortThatIsInUse(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	addr := busy.Addr().String()
	for _, c := range []struct {
		environ      []string
		logs, checks string // empty: an error
	}{
		{nil, "admin port is in use; using another one", addr + " is not free: sidereal up takes the next port"},
		{[]string{"SIDEREAL_ADMIN_ADDR=" + addr}, "", ""},
	} {
		var set config.Up
		settings, err := config.Load(&set, config.Source{Environ: c.environ})
		if err != nil {
			t.Fatal(err)
		}
		set.AdminAddr = addr
		var logged bytes.Buffer
		l, err := sockets.ListenAdmin(t.Context(), addr, settings.Get("SIDEREAL_ADMIN_ADDR").Set(), slog.New(loghandler.New(&logged, slog.LevelDebug)))
		switch {
		case c.logs == "":
			if err == nil || !strings.Contains(err.Error(), `SIDEREAL_ADMIN_ADDR="`+addr+`" is in use by another process`) {
				t.Errorf("chosen: %v", err)
			}
		case err != nil:
			t.Errorf("the default: %v", err)
		default:
			l.Close()
			if !strings.Contains(logged.String(), c.logs) {
				t.Errorf("logged %q", logged.String())
			}
		}
		found, err := (&checks{set: set, settings: settings}).admin(t.Context())
		if found != c.checks || (err == nil) != (c.checks != "") {
			t.Errorf("check: %q, %v", found, err)
		}
	}
}
