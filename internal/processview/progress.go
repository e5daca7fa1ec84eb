package processview

import (
	"fmt"

	"github.com/sidereal-io/sidereal/internal/daemon"
)

// Progress says what happens while a command is carried out, a line an event.
type Progress struct {
	Out, Err Screen // what goes well, and what does not
	Silent   bool   // only what does not
}

// Happened is for the methods of [daemon.Client].
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
	fmt.Fprintln(to, line) // what cannot be shown is lost
}
