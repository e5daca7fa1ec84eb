package main

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

func restartCommand() *cobra.Command {
	s := &starter{}
	return starting(&cobra.Command{
		Use: "restart <id | name | namespace | /expression/ | all | file | ->...", Short: "Stop processes and start them again; start stopped ones",
		Long: `Stop processes and start them again. The command also starts stopped processes.

Processes keep the environment that they were started with, unless you give --update-env or --env. A process file always
brings its own environment. The flags of ` + "`start`" + ` change the apps, and arguments after -- replace those of their scripts.`,
		Args: takes(1, -1), ValidArgsFunction: completeFiles,
	}, s, func(ctx context.Context, targets, scriptArgs []string) error {
		s.scriptArgs = scriptArgs
		return s.renew(ctx, targets, daemon.Restart, daemon.StartRestart)
	})
}

func reloadCommand(name string) *cobra.Command {
	s := &starter{}
	cmd := starting(&cobra.Command{
		Use: name + " <id | name | namespace | /expression/ | all | file>...", Short: "Replace processes one by one, without an interruption",
		Long: `Replace processes one after the other, without an interruption: the old one drains when the new one is ready.

If a new process doesn't become ready, the reload ends, the old processes go on, and the exit code is 1. The command
restarts processes that don't share a port.`,
		Args: takes(1, -1), ValidArgsFunction: completeFiles,
	}, s, func(ctx context.Context, targets, scriptArgs []string) error {
		s.scriptArgs = scriptArgs
		return s.renew(ctx, targets, daemon.Reload, daemon.StartReload)
	})
	cmd.Flags().IntVar(&s.parallel, "parallel", 0, "`number` of processes of an app to replace at a time")
	return cmd
}

// renew restarts or reloads the targets.
func (s *starter) renew(ctx context.Context, targets []string, verb daemon.Verb, mode daemon.StartMode) error {
	var steps []step
	var known []string
	for _, t := range targets {
		if !isFile(t) {
			known = append(known, t)
			continue
		}
		step, err := s.fromFile(ctx, t, mode)
		if err != nil {
			return err
		}
		steps = append(steps, step)
	}
	if len(known) > 0 {
		more, err := s.renewKnown(ctx, known, verb, mode)
		if err != nil {
			return err
		}
		steps = append(steps, more...)
	}
	return s.carryOut(ctx, steps)
}

// renewKnown restarts or reloads processes of the list. The processes of one app get their new
// environment together.
func (s *starter) renewKnown(ctx context.Context, targets []string, verb daemon.Verb, mode daemon.StartMode) ([]step, error) {
	l, found, missing, err := s.look(ctx, targets)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, s.notFound(missing[0])
	}
	var steps []step
	if len(missing) > 0 && (s.update || s.stage != "" || len(s.changes()) > 0) {
		steps = append(steps, step{action: &daemon.Action{Verb: verb, Targets: missing}}) // the daemon refuses them
	}
	if len(s.changes()) > 0 {
		changed, err := s.changed(l, found, mode)
		return append(steps, changed), err
	}
	if !s.update && s.stage == "" {
		return []step{{action: &daemon.Action{Verb: verb, Targets: targets, Parallel: s.parallel}}}, nil
	}
	for _, app := range appsOf(found) {
		some := slices.DeleteFunc(slices.Clone(found), func(p daemon.Process) bool { return p.App != app })
		steps = append(steps, step{action: s.renewed(l, some, verb)})
	}
	return steps, nil
}

// renewed returns the action on processes, with the environment that the flags ask for.
func (s *starter) renewed(l daemon.Listing, found []daemon.Process, verb daemon.Verb) *daemon.Action {
	a := &daemon.Action{Verb: verb, Parallel: s.parallel}
	for _, p := range found {
		a.Targets = append(a.Targets, strconv.Itoa(p.ID))
	}
	if s.update || s.stage != "" {
		a.Env = map[string]string{}
		for _, key := range appsOf(found) {
			app := l.Apps[key].App
			if s.update {
				maps.Copy(a.Env, app.Filtered(pm2.Shell(environ())))
			}
			stage, ok := app.Stages[s.stage]
			if s.stage != "" && !ok {
				s.warn(app.Name + ": there is no env_" + s.stage)
			}
			maps.Copy(a.Env, stage)
		}
	}
	return a
}

// changes returns the fields that this command sets in known apps: its flags, and arguments after
// --.
func (s *starter) changes() map[string]any {
	options := s.options.Options()
	if len(s.scriptArgs) > 0 {
		options["args"] = s.scriptArgs
	}
	return options
}

// changed starts known apps with the flags of this command.
func (s *starter) changed(l daemon.Listing, found []daemon.Process, mode daemon.StartMode) (step, error) {
	loader, err := s.loader()
	if err != nil {
		return step{}, err
	}
	loader.Options = s.changes()
	r := &pm2.Result{}
	keys := appsOf(found)
	for _, key := range keys {
		app, err := loader.Change(l.Apps[key].App)
		if err != nil {
			return step{}, err
		}
		if s.update {
			maps.Copy(app.Env, app.Filtered(pm2.Shell(environ())))
		}
		maps.Copy(app.Env, app.Stages[s.stage])
		r.Apps = append(r.Apps, app)
	}
	do := s.starting(r, mode)
	do.start.Of = keys
	return do, nil
}

// appsOf returns the apps of processes, without duplicates.
func appsOf(found []daemon.Process) (apps []string) {
	for _, p := range found {
		if !slices.Contains(apps, p.App) {
			apps = append(apps, p.App)
		}
	}
	return apps
}
