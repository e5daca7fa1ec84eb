package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
)

func traceCommand() *cobra.Command {
	var set config.Inspect
	var asJSON bool
	cmd := &cobra.Command{
		Use: "trace <sid>", Short: "Show who owns a session and why: which worker gets its requests", Args: takes(1, 1),
		Long: `Show which worker gets the requests of a session, and why. The router of the host at SIDEREAL_ADMIN_ADDR is asked, which
also knows what it remembers; without one the records in Redis are. Nothing is changed by it. The exit code is 1 where nobody
owns the sid.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), inspectTimeout)
			defer cancel()
			t, err := newInspection(set).trace(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				err = out.Encode(t)
			} else {
				err = t.print(cmd.OutOrStdout())
			}
			if err == nil && t.Worker == nil {
				return exitCode(config.ExitFailed)
			}
			return err
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// traced is a directory's word, and whose directory that is.
type traced struct {
	directory.Trace
	App string `json:"app"`
	By  string `json:"by"` // "router of <host>", or "redis"
}

// trace asks the local router, or Redis where there is none.
func (i inspection) trace(ctx context.Context, sid string) (*traced, error) {
	t := new(traced)
	asked := errNoAdmin
	if i.admin != nil {
		asked = i.admin.Trace(ctx, sid, t)
		if ours := t.App == i.set.App.App || i.set.RedisURL == ""; asked == nil && ours {
			return t, nil
		}
	}
	if i.set.RedisURL == "" {
		var answered *admin.AnswerError
		switch {
		case i.admin == nil, errors.As(asked, &answered):
			return nil, asked
		}
		return nil, i.nobody(asked)
	}
	n, err := i.directory(ctx)
	if err != nil {
		return nil, err
	}
	defer n.close()
	found, err := n.dir.Trace(ctx, sid)
	return &traced{found, i.set.App.App, "redis"}, err
}

// reasons explains decisions.
var reasons = map[string]string{
	directory.DecisionCache:   "the router has seen it",
	directory.DecisionTable:   "its entry in Redis says so",
	directory.DecisionTag:     "it begins with the worker's id",
	directory.DecisionUnknown: "nobody owns it: any worker answers that it is unknown",
}

func (t *traced) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "sid\t%s\n", t.SID)
	fmt.Fprintf(w, "decision\t%s: %s\n", t.Decision, reasons[t.Decision])
	if o := t.Worker; o != nil {
		fmt.Fprintf(w, "owner\t%s, %s: slot %d on %s", o.ID, o.State, o.Slot, o.Host)
		if o.PID != 0 { // a backend that is listed by hand says nothing of itself
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

// traceSID is the router's word to who asks on its admin door.
func (p *routerProcess) traceSID(ctx context.Context, sid string) (any, error) {
	t, _ := p.members().Trace(ctx, sid) // it says where Redis is away
	return &traced{t, p.set.App.App, "router of " + p.set.HostName}, nil
}

// traceSID has the router of the host answer.
func (h *hostProcess) traceSID(ctx context.Context, sid string) (any, error) {
	var t json.RawMessage
	err := h.routerAdmin().Trace(ctx, sid, &t)
	return t, err
}
