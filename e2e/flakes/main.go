//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options are the command's flags.
type options struct {
	packages   []string
	run        string
	tags       string
	conditions string
	rounds     int
	count      int
	time       time.Duration
	out        string

	full     int
	busy     int
	cold     int
	revision string
	target   string
	limit    time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.run, "run", "", "run only the tests that match this `pattern`")
	flag.StringVar(&o.tags, "tags", "", "build `tags`, such as e2e")
	flag.StringVar(&o.conditions, "conditions", "", "only these `conditions`, separated by commas: "+conditionNames())
	flag.IntVar(&o.rounds, "rounds", 3, "`rounds`; each runs the packages once under every condition")
	flag.IntVar(&o.count, "count", 1, "runs of each test in one round and condition")
	flag.DurationVar(&o.time, "time", 0, "begin no further run after this `time`, and end the one under way (0: no limit)")
	flag.StringVar(&o.out, "o", "flakes", "keep the output of failures in this `folder`")
	flag.IntVar(&o.full, "full", 0, "instead: `rounds` of `make test`, each in a fresh clone")
	flag.IntVar(&o.busy, "busy", 0, "with -full: so many of the `rounds`, the last ones, beside busy loops on every core")
	flag.IntVar(&o.cold, "cold", 0, "with -full: so many of the `rounds`, the first ones, with an empty build cache")
	flag.StringVar(&o.revision, "revision", "HEAD", "with -full: the `commit` to check out")
	flag.StringVar(&o.target, "target", "test", "with -full: the `target` to make")
	flag.DurationVar(&o.limit, "limit", 30*time.Minute, "a run that takes longer than this `time` is ended and has failed")
	flag.Parse()
	if o.packages = flag.Args(); len(o.packages) == 0 {
		o.packages = []string{"./..."}
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	failed, err := hunt(ctx, o, os.Stdout)
	stop()
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "flakes: %v\n", err)
		os.Exit(2)
	case failed:
		os.Exit(1)
	}
}

// hunt runs the tests and prints the table. It reports whether a test failed, and an error if tests
// could not be run.
func hunt(ctx context.Context, o options, to io.Writer) (failed bool, err error) {
	if o.busy > o.full || o.cold > o.full {
		return false, errors.New("-busy and -cold count rounds of -full, and can't be more than those")
	}
	if o.time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.time)
		defer cancel()
	}
	var runs []run
	if o.full > 0 {
		clones, err := os.MkdirTemp("", "flakes-clone-")
		if err != nil {
			return false, fmt.Errorf("make a folder for the clones: %w", err)
		}
		defer os.RemoveAll(clones)
		runs = fullRounds(o, clones)
	} else {
		chosen, err := choose(o.conditions)
		if err != nil {
			return false, err
		}
		runs = rounds(o, chosen)
	}
	r := report{to: to, dir: o.out}
	for i, next := range runs {
		if ctx.Err() != nil {
			break
		}
		fmt.Fprintf(to, "flakes: %s run %d of %d: %s\n", time.Now().Format(time.TimeOnly), i+1, len(runs), next.name())
		if err := next.do(ctx, o.limit, &r); err != nil {
			return false, err
		}
	}
	return r.print(len(runs), ctx.Err() != nil), nil
}

// rounds are the runs of the packages under the conditions, round after round.
func rounds(o options, chosen []condition) (all []run) {
	for i := range o.rounds {
		for _, c := range chosen {
			args := []string{"test", "-json", fmt.Sprintf("-count=%d", o.count), "-timeout", fmt.Sprint(o.limit * 9 / 10)} // what hangs shows its goroutines
			if o.run != "" {
				args = append(args, "-run", o.run)
			}
			if o.tags != "" {
				args = append(args, "-tags", o.tags)
			}
			args = append(args, c.flags...)
			all = append(all, run{round: i + 1, condition: c, command: append([]string{"go"}, append(args, o.packages...)...)})
		}
	}
	return all
}

// fullRounds are runs of `make test` in fresh clones below a folder.
func fullRounds(o options, clones string) (all []run) {
	for i := range o.full {
		var c condition
		var traits []string
		if i < o.cold {
			c.cold, traits = true, append(traits, "cold cache")
		}
		if i >= o.full-o.busy {
			c.busy, traits = true, append(traits, "busy cores")
		}
		c.name = strings.Join(append([]string{"make " + o.target}, traits...), ", ")
		all = append(all, run{
			round: i + 1, condition: c, command: []string{"make", o.target, "TESTFLAGS=-json -count=1"},
			clone: fmt.Sprintf("%s/%d", clones, i+1), revision: o.revision,
		})
	}
	return all
}
