package processview

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// MiniList writes a paragraph of text for each process, as PM2's `list -m` does.
func MiniList(w io.Writer, l daemon.Listing, now time.Time) error {
	var b strings.Builder
	for i := range l.Processes {
		p := &l.Processes[i]
		app := l.Apps[p.App].App
		watching := "no"
		if len(app.Watch) > 0 {
			watching = "yes"
		}
		fmt.Fprintf(&b, "+--- %s\n", clean(p.Name))
		for _, line := range [][2]string{
			{"namespace", p.Namespace}, {"version", version(&app)}, {"pid", pid(p)}, {"pm2 id", fmt.Sprint(p.ID)}, {"status", string(p.Status)},
			{"mode", mode(p.Mode)}, {"restarted", fmt.Sprint(p.Restarts)}, {"uptime", uptime(p, now)}, {"memory usage", size(p.Memory)},
			{"error log", cmp.Or(p.ErrorFile, pm2.LogOff)}, {"watching", watching}, {"PID file", p.PIDFile},
		} {
			fmt.Fprintf(&b, "%s : %s\n", line[0], clean(line[1]))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
