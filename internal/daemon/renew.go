package daemon

import (
	"context"
	"slices"
	"strings"

	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// renew gives a listed app new settings, and restarts or reloads it.
func (d *Daemon) renew(ctx context.Context, ap *application, a pm2.App, mode StartMode, parallel int, emit func(Event)) error {
	next, err := resolve(a, ap.key)
	if err != nil {
		return err
	}
	held, release, err := d.take(ctx, ap)
	if err != nil {
		return err
	}
	old := d.see(ap)
	renamed := old.name != a.Name || old.names != a.Namespace
	if renamed && mode == StartReload {
		emit(Event{Level: "warn", Name: old.name, Text: "another name or namespace takes a restart"})
	}
	if changed := differences(old, seen{next, facts{app: a}}); len(changed) > 0 || renamed {
		if mode != StartReload || renamed {
			heirs := d.heirs(old.entries)
			err := d.dissolve(ap)
			release()
			if err != nil {
				return err
			}
			_, do, err := d.create(ctx, a, heirs, true, emit)
			if err != nil {
				return err
			}
			return do()
		}
		emit(Event{Level: "warn", Name: a.Name, Text: strings.Join(changed, ", ") + " changed, which a reload does not: `sidereal restart` with the file does"})
	}
	defer release()
	d.change(ap, func(f *facts) { f.app = a })
	ap.deployment.SetPort(wantedPort(ap.kind, &a))
	if err := d.resize(ap, a.Count(supervisor.Cores())); err != nil {
		return err
	}
	entries := d.entriesOf(ap)
	if mode == StartReload {
		return explained(held, ap, d.reload(held, ap, entries, parallel, emit))
	}
	return explained(held, ap, d.restart(held, entries, emit))
}

// heirs returns what the processes that replace these inherit. Those that run are restarted by it.
func (d *Daemon) heirs(entries []*entry) (heirs []heir) {
	st := d.statuses()
	d.do(func(b *book) {
		for _, e := range entries {
			now := st[e.place]
			h := heir{e.id, e.facts.in(b).commands + now.Restarts}
			if now.PID != 0 {
				h.restarts++
			}
			heirs = append(heirs, h)
		}
	})
	return heirs
}

// differences returns the settings that would need the app's services to restart.
func differences(old, next seen) (names []string) {
	if old.kind != next.kind {
		names = append(names, "exec_mode or interpreter")
	}
	if old.app.UID != next.app.UID || old.app.GID != next.app.GID {
		names = append(names, "uid or gid")
	}
	if old.app.MergeLogs != next.app.MergeLogs || old.app.OutFile != next.app.OutFile || old.app.ErrorFile != next.app.ErrorFile ||
		old.app.LogFile != next.app.LogFile || old.app.LogType != next.app.LogType || old.app.LogDateFormat != next.app.LogDateFormat {
		names = append(names, "log files")
	}
	for _, v := range old.settings.Values {
		if next.settings.Get(v.Variable).Text != v.Text {
			names = append(names, v.Variable)
		}
	}
	if old.addr() != next.addr() && !slices.Contains(names, "SIDEREAL_ADDR") {
		names = append(names, "port")
	}
	return names
}
