//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options are the command's flags.
type options struct {
	out     string
	only    string
	quick   bool
	rounds  int
	idle    int
	held    int
	profile string
}

func main() {
	if role(os.Args[1:]) {
		return
	}
	var o options
	flag.StringVar(&o.out, "o", "", "write the report to this `file` (default: standard output)")
	flag.StringVar(&o.only, "only", "", "run only these `items`, separated by commas: "+itemNames())
	flag.BoolVar(&o.quick, "quick", false, "fewer and shorter rounds: one to two minutes")
	flag.IntVar(&o.rounds, "rounds", 0, "`rounds` of each item (default 5, quick 2)")
	flag.IntVar(&o.idle, "idle", 0, "idle `connections` (default 10000, quick 2000); 100000 needs a limit of open files above that")
	flag.IntVar(&o.held, "held", -1, "`connections` that a whole host holds, with as many workers as the limit of open files makes necessary (default 150000, quick none)")
	flag.StringVar(&o.profile, "profile", "", "record a second of each item and system with perf into this `folder`")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "bench: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := benchmark(o); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// role runs one of the servers under test, or a command, when this program is started as such.
func role(args []string) bool {
	if len(args) == 0 {
		return false
	}
	switch args[0] {
	case roleApp:
		runApp()
	case roleBare:
		runBare()
	case roleCrowd:
		if len(args) != 3 {
			return false
		}
		if err := runCrowd(args[1], args[2]); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", roleCrowd, err)
			os.Exit(1)
		}
	case commandHosts:
		command(commandHosts, runHosts, args[1:])
	case commandStorm:
		command(commandStorm, runStorm, args[1:])
	default:
		return false
	}
	return true
}

// command runs a benchmark with a report of its own. It ends at a signal.
func command(name string, run func(ctx context.Context, args []string) error, args []string) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, args)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench %s: %v\n", name, err)
		os.Exit(1)
	}
}

func benchmark(o options) (err error) {
	if o.rounds == 0 {
		o.rounds = pick(o.quick, 2, 5)
	}
	if o.idle == 0 {
		o.idle = pick(o.quick, 2000, 10000)
	}
	if o.held < 0 {
		o.held = pick(o.quick, 0, 150_000)
	}
	todo, err := selectItems(o.only)
	if err != nil {
		return err
	}
	if err := raiseFileLimit(o.idle, todo); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	fleet, err := newFleet(ctx, o.profile, "node", "redis-server", "nginx", "haproxy")
	if err != nil {
		return err
	}
	defer fleet.close()

	start := time.Now()
	var results []*result
	for _, it := range todo {
		fmt.Fprintf(os.Stderr, "%4.0fs  %s\n", time.Since(start).Seconds(), it.name)
		r, err := it.run(ctx, fleet, &it, o)
		if err != nil {
			return fmt.Errorf("%s: %w", it.name, err)
		}
		for _, r := range r {
			fmt.Fprint(os.Stderr, r.progress())
		}
		results = append(results, r...)
	}
	text := report(o, results, time.Since(start))
	if o.out == "" {
		_, err = os.Stdout.WriteString(text)
		return err
	}
	return os.WriteFile(o.out, []byte(text), 0o644)
}

func selectItems(only string) (todo []item, err error) {
	if only == "" {
		return items, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, it := range items {
			if it.name == name {
				todo, found = append(todo, it), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no item %q; there are %s", name, itemNames())
		}
	}
	return todo, nil
}

func itemNames() string {
	var names []string
	for _, it := range items {
		names = append(names, it.name)
	}
	return strings.Join(names, ", ")
}

func pick[T any](cond bool, yes, no T) T {
	if cond {
		return yes
	}
	return no
}
