package processview

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// size is a number of bytes as PM2 prints it.
func size(n int64) string {
	f := float64(n)
	for _, unit := range []string{"b", "kb", "mb"} {
		if f < 1024 {
			return strconv.FormatFloat(f, 'f', decimals(unit), 64) + unit
		}
		f /= 1024
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + "gb"
}

func decimals(unit string) int {
	if unit == "b" {
		return 0
	}
	return 1
}

// span is a time that has passed, in its largest unit.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dD", int(d.Hours()/24))
}

// percent is a share of a core.
func percent(cpu float64) string {
	if cpu == float64(int(cpu)) {
		return fmt.Sprintf("%d%%", int(cpu))
	}
	return fmt.Sprintf("%.1f%%", cpu)
}

func mode(m pm2.ExecMode) string { return strings.TrimSuffix(string(m), "_mode") }

// statusColor is green for what is well and red for what needs somebody.
func statusColor(s daemon.Status) color {
	switch s {
	case daemon.Online:
		return green
	case daemon.Errored, daemon.Stopped:
		return red
	}
	return yellow
}

// uptime is how long a process has been there; 0 for one that is not.
func uptime(p *daemon.Process, now time.Time) string {
	if p.PID == 0 || p.Started.IsZero() {
		return "0"
	}
	return span(now.Sub(p.Started))
}
