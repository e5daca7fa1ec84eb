package daemon

import (
	"testing"

	"github.com/sidereal-io/sidereal/internal/processfile"
)

func TestWatchLooksAtNothingThatWeWrite(t *testing.T) {
	d := &Daemon{cfg: Config{Home: "/srv/app/.home"}}
	a := processfile.Default()
	a.Cwd, a.OutFile, a.PIDFile = "/srv/app", "/srv/app/logs/out.log", "/srv/app/run/app.pid"
	a.IgnoreWatch = nil
	for path, want := range map[string]bool{
		"/srv/app/.home": true, "/srv/app/.home/logs/api-out.log": true, "/srv/app/.homework": false, "/srv/app/worker.js": false,
		"/srv/app/logs/out-3.log": true, "/srv/app/logs/out-3.log.1": true, "/srv/app/logs/in.log": false, "/srv/app/run/app-0.pid": true,
	} {
		if got := d.ignored(&a, path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
