package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
)

func clusterCommand() *cobra.Command {
	var set config.Inspect
	var asJSON bool
	cmd := &cobra.Command{
		Use: "cluster", Short: "Show all hosts, routers and workers of an app, their load and state, and settings that differ", Args: takes(0, 0),
		Long: `Show all hosts, routers and workers of an app as their records in Redis say. Without SIDEREAL_REDIS_URL the host at
SIDEREAL_ADMIN_ADDR is asked: its embedded Redis has the only records there are.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), inspectTimeout)
			defer cancel()
			c, err := newInspection(set).cluster(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(c)
			}
			return c.print(cmd.OutOrStdout())
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// cluster is an app as its directory shows it.
type cluster struct {
	App      string              `json:"app"`
	Sessions int                 `json:"sessions"` // of all workers, at their last beats
	Hosts    []clusterHost       `json:"hosts"`
	Routers  []*directory.Router `json:"routers"`
	Workers  []*directory.Worker `json:"workers"`
	Problems []string            `json:"problems"` // settings that differ
}

// clusterHost sums up one host.
type clusterHost struct {
	Name     string   `json:"name"`
	Routers  int      `json:"routers"`
	Workers  int      `json:"workers"`
	Ready    int      `json:"ready"` // of the workers
	Sessions int      `json:"sessions"`
	Versions []string `json:"versions"`
}

// clusterOf reads a table.
func clusterOf(app string, t *directory.Table) *cluster {
	c := &cluster{App: app, Hosts: []clusterHost{}, Routers: t.Routers(), Workers: t.All(), Problems: disagreements(t.All(), "", "")}
	if c.Problems == nil {
		c.Problems = []string{}
	}
	host := func(name, version string) *clusterHost {
		i := slices.IndexFunc(c.Hosts, func(h clusterHost) bool { return h.Name == name })
		if i < 0 {
			c.Hosts, i = append(c.Hosts, clusterHost{Name: name}), len(c.Hosts)
		}
		h := &c.Hosts[i]
		if version != "" && !slices.Contains(h.Versions, version) {
			h.Versions = append(h.Versions, version)
		}
		return h
	}
	for _, r := range c.Routers {
		host(r.Host, r.Version).Routers++
	}
	for _, w := range c.Workers {
		h := host(w.Host, w.Version)
		h.Workers++
		h.Sessions += w.Clients
		c.Sessions += w.Clients
		if w.State == directory.StateReady {
			h.Ready++
		}
	}
	slices.SortFunc(c.Hosts, func(a, b clusterHost) int { return strings.Compare(a.Name, b.Name) })
	return c
}

// cluster asks Redis, or the host of the admin address where none is set.
func (i inspection) cluster(ctx context.Context) (*cluster, error) {
	if i.set.RedisURL == "" {
		c := new(cluster)
		if i.admin == nil {
			return nil, errNoAdmin
		}
		if err := i.admin.Cluster(ctx, c); err != nil {
			return nil, i.nobody(err)
		}
		return c, nil
	}
	n, err := i.directory(ctx)
	if err != nil {
		return nil, err
	}
	defer n.close()
	return clusterOf(i.set.App.App, n.dir.Workers()), nil
}

// print writes tables for 80 columns.
func (c *cluster) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "app %s: %s, %s, %s, %s\n", c.App, count(len(c.Hosts), "host"), count(len(c.Routers), "router"),
		count(len(c.Workers), "worker"), count(c.Sessions, "session"))
	if len(c.Hosts) > 0 {
		fmt.Fprint(t, "\nHOST\tROUTERS\tWORKERS\tREADY\tSESSIONS\tVERSION\n")
	}
	for _, h := range c.Hosts {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\n", cut(h.Name, 24), h.Routers, h.Workers, h.Ready, h.Sessions, cut(strings.Join(h.Versions, ", "), 18))
	}
	if len(c.Routers) > 0 {
		fmt.Fprint(t, "\nROUTER\tHOST\tADDRESS\tSTATE\tHOLDS\tUP\n")
	}
	for _, r := range c.Routers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", r.ID, cut(r.Host, 20), cut(r.Addr, 22), r.State, r.Sessions, age(r.Started))
	}
	if len(c.Workers) > 0 {
		fmt.Fprint(t, "\nWORKER\tHOST\tSLOT\tPID\tSTATE\tSESSIONS\tADAPTER\tUP\n")
	}
	for _, w := range c.Workers {
		pid := "-" // of one that is listed by hand nothing is known
		if w.PID != 0 {
			pid = strconv.Itoa(w.PID)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%d\t%s\t%s\n", w.ID, cut(w.Host, 16), w.Slot, pid, w.State, w.Clients, cmp.Or(cut(w.Adapter, 13), "-"), age(w.Started))
	}
	for _, p := range c.Problems {
		fmt.Fprintf(t, "\nproblem: %s\n", p)
	}
	return t.Flush()
}

func count(n int, of string) string {
	if n != 1 {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}
