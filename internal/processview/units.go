package processview

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// size formats a number of bytes as PM2 does.
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

// span formats a duration in its largest unit.
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

// percent formats a share of a core.
func percent(cpu float64) string {
	if cpu == float64(int(cpu)) {
		return fmt.Sprintf("%d%%", int(cpu))
	}
	return fmt.Sprintf("%.1f%%", cpu)
}

func mode(m pm2.ExecMode) string { return strings.TrimSuffix(string(m), "_mode") }

// statusColor returns green for healthy states and red for those that need an operator.
func statusColor(s daemon.Status) color {
	switch s {
	case daemon.Online:
		return green
	case daemon.Errored, daemon.Stopped:
		return red
	}
	return yellow
}

// uptime returns how long a process has run; 0 if it doesn't run.
func uptime(p *daemon.Process, now time.Time) string {
	if p.PID == 0 || p.Started.IsZero() {
		return "0"
	}
	return span(now.Sub(p.Started))
}
