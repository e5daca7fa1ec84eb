package processview

import (
	"fmt"

	"github.com/sidereal-io/sidereal/internal/daemon"
)

// Progress writes the events of a command, one per line.
type Progress struct {
	Out, Err Screen // for successes, and for failures
	Silent   bool   // write failures only
}

// Happened is the callback for the methods of [daemon.Client].
func (p *Progress) Happened(e daemon.Event) {
	to, c := p.Out, green
	switch e.Level {
	case "warn":
		to, c = p.Err, yellow
	case "error":
		to, c = p.Err, red
	default:
		if p.Silent {
			return
		}
	}
	line := clean(e.Text)
	if e.Name != "" {
		who := e.Name
		if e.ID != nil {
			who = fmt.Sprintf("%s (%d)", e.Name, *e.ID)
		}
		line = to.paint(c, clean(who)) + " " + line
	} else if c != green {
		line = to.paint(c, line)
	}
	fmt.Fprintln(to, line) // if it can't be written, the line is lost
}
