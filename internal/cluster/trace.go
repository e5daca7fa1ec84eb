package cluster

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/sidereal-io/sidereal/directory"
)

// Trace is a directory's answer to who owns a session, and whose directory that is.
type Trace struct {
	directory.Trace
	App string `json:"app"`
	By  string `json:"by"` // "router of <host>", or "redis"
}

// RouterTrace is the trace of a router.
func RouterTrace(t directory.Trace, app, host string) *Trace {
	return &Trace{t, app, "router of " + host}
}

// reasons explains decisions.
var reasons = map[string]string{
	directory.DecisionCache:   "the router has seen it",
	directory.DecisionTable:   "its entry in Redis says so",
	directory.DecisionTag:     "it begins with the worker's id",
	directory.DecisionUnknown: "nobody owns it: any worker answers that it is unknown",
}

// Print writes the trace for people.
func (t *Trace) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "sid\t%s\n", t.SID)
	fmt.Fprintf(w, "decision\t%s: %s\n", t.Decision, reasons[t.Decision])
	if o := t.Worker; o != nil {
		fmt.Fprintf(w, "owner\t%s, %s: slot %d on %s", o.ID, o.State, o.Slot, o.Host)
		if o.PID != 0 { // an upstream says nothing of itself
			fmt.Fprintf(w, ", pid %d, up %s", o.PID, age(o.Started))
		}
		fmt.Fprintln(w)
		fmt.Fprintf(w, "address\t%s\n", o.Addr)
	}
	fmt.Fprintf(w, "cache\t%s\n", orNone(t.Cache))
	switch {
	case t.Away:
		fmt.Fprint(w, "entry\tnot known: Redis does not answer\n")
	case t.Entry != "":
		fmt.Fprintf(w, "entry\t%s, for %s more\n", t.Entry, t.TTL.Round(time.Second))
	default:
		fmt.Fprint(w, "entry\tnone\n")
	}
	fmt.Fprintf(w, "tag\t%s\n", orNone(t.Tag))
	fmt.Fprintf(w, "asked\t%s\n", t.By)
	return w.Flush()
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
