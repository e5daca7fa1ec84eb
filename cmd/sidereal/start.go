package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/processview"
)

// starter is a command that starts apps from files and scripts. Its flags set fields of the
// files.
type starter struct {
	control
	set      config.Daemon
	settings *config.Settings
	options  *pm2.Flags
	stage    string
	only     []string
	force    bool
	update   bool
	attach   bool
	stay     bool // --no-daemon
	parallel int

	scriptArgs []string // for apps that are known
}

// startFlags declares the flags of commands that may read process files.
func (s *starter) startFlags(cmd *cobra.Command) {
	config.AddFlags(cmd.Flags(), &s.set)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = f.Name != "home" && f.Name != "redis-url" && f.Name != "addr" }) // `sidereal config` has them all
	s.control.flags(cmd)
	s.options = pm2.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&s.stage, "env", "", "lay the file's env_`stage` over its env")
	cmd.Flags().StringSliceVar(&s.only, "only", nil, "use only these `apps` of the file")
	cmd.Flags().BoolVarP(&s.update, "update-env", "a", false, "use this shell's environment; process files always do")
	cmd.Flags().BoolVar(&s.attach, "attach", false, "follow the logs when the command is done")
}

// starting makes a command of a starter.
func starting(cmd *cobra.Command, s *starter, run func(context.Context, []string, []string) error) *cobra.Command {
	s.startFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if s.settings, err = load(cmd, &s.set); err != nil {
			return err
		}
		if err := s.open(s.settings, s.set.Home); err != nil {
			return err
		}
		targets, scriptArgs := args, []string(nil)
		if at := cmd.ArgsLenAtDash(); at >= 0 {
			targets, scriptArgs = args[:at], args[at:]
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return run(ctx, targets, scriptArgs)
	}
	return cmd
}

func startCommand() *cobra.Command {
	s := &starter{}
	cmd := starting(&cobra.Command{
		Use:   "start [file | script | command | name | id | namespace | -]...",
		Short: "Start apps in the background, from a process file, scripts or commands",
		Long: `Start apps in the background. Without an argument the command uses the process file of this folder, such as
ecosystem.config.js.

A process file (PM2's .config.js, .json or .yaml) lists apps. A script or program is one app. Text with blanks runs in
bash, and - reads JSON from the standard input. A name, id or namespace of ` + "`list`" + ` starts again. Arguments after --
go to the script.

Every setting of ` + "`sidereal config`" + ` is also a flag here. A daemon that already runs keeps its settings, and the command
prints the ones that differ.`,
		Example:           "  sidereal start ecosystem.config.js --env production\n  sidereal start worker.js -i max\n  sidereal start ./app --name api -- --verbose\n  sidereal start \"npm run start\"",
		ValidArgsFunction: completeFiles,
	}, s, func(ctx context.Context, targets, scriptArgs []string) error {
		if s.stay {
			return s.inForeground(ctx, targets, scriptArgs, foreground{idle: config.ExitFailed})
		}
		mode := daemon.StartNew
		if s.force {
			mode = daemon.StartForce
		}
		return s.start(ctx, targets, scriptArgs, mode)
	})
	cmd.Flags().BoolVarP(&s.force, "force", "f", false, "start the app even if it runs already")
	cmd.Flags().BoolVar(&s.stay, "no-daemon", false, "stay in the foreground, like up")
	return cmd
}

// startOrCommand makes startOrRestart and startOrReload, which deploy scripts call.
func startOrCommand(name, does string, mode daemon.StartMode) *cobra.Command {
	s := &starter{}
	cmd := starting(&cobra.Command{
		Use: name + " <file>", Short: "Start the apps of a process file, or " + does + " those that run", Args: takes(1, 1),
		ValidArgsFunction: completeFiles,
	}, s, func(ctx context.Context, targets, _ []string) error {
		return s.start(ctx, targets, nil, mode)
	})
	if mode == daemon.StartReload {
		cmd.Flags().IntVar(&s.parallel, "parallel", 0, "`number` of processes of an app to replace at a time")
	}
	return cmd
}

// step is one part of a command line.
type step struct {
	start   *daemon.Start
	action  *daemon.Action
	missing []error // of apps that can't be started; the others can
}

// start runs the parts of a command line in order. It reads all of them before it starts
// anything.
func (s *starter) start(ctx context.Context, targets, scriptArgs []string, mode daemon.StartMode) error {
	targets, err := orEcosystem(targets)
	if err != nil {
		return err
	}
	known, err := s.listing(ctx)
	if err != nil {
		return err
	}
	var steps []step
	for _, t := range targets {
		step, err := s.resolve(ctx, known, t, scriptArgs, mode)
		if err != nil {
			return err
		}
		steps = append(steps, step)
	}
	return s.carryOut(ctx, steps)
}

// resolve returns the step for one target of `start`.
func (s *starter) resolve(ctx context.Context, known daemon.Listing, target string, scriptArgs []string, mode daemon.StartMode) (step, error) {
	if isFile(target) {
		if mode == daemon.StartNew {
			mode = daemon.StartRestart // a file describes the wanted state
		}
		return s.fromFile(ctx, target, mode)
	}
	if mode != daemon.StartForce && isName(target) {
		found, err := known.Find(target)
		if err != nil {
			return step{}, err
		}
		if len(found) > 0 {
			return s.again(known, found)
		}
	}
	if isNumber(target) || isExpression(target) {
		return step{}, fmt.Errorf("no process %s: see `%s list`", target, calledAs())
	}
	loader, err := s.loader()
	if err != nil {
		return step{}, err
	}
	r, err := loader.Script(target, scriptArgs)
	if err != nil {
		return step{}, err
	}
	return s.starting(r, mode), nil
}

// again starts processes that the daemon has.
func (s *starter) again(known daemon.Listing, found []daemon.Process) (step, error) {
	if len(s.changes()) > 0 {
		return s.changed(known, found, daemon.StartRestart)
	}
	return step{action: s.renewed(known, found, daemon.Restart)}, nil
}

// loader reads files with the flags of this command.
func (s *starter) loader() (*pm2.Loader, error) {
	l, err := s.newLoader()
	if err != nil {
		return nil, err
	}
	l.Environ = s.flaggedEnviron() // settings by flag are for these apps, not for all that the daemon runs
	l.Stage, l.Only, l.Options = s.stage, s.only, s.options.Options()
	l.Environ = s.flaggedEnviron() // an app's settings are those of its environment
	return l, nil
}

// fromFile reads a process file, or the standard input.
func (s *starter) fromFile(ctx context.Context, name string, mode daemon.StartMode) (step, error) {
	loader, err := s.loader()
	if err != nil {
		return step{}, err
	}
	var r *pm2.Result
	if name == "-" {
		src, err := io.ReadAll(io.LimitReader(os.Stdin, maxInput))
		if err != nil {
			return step{}, err
		}
		if r, err = loader.JSON(ctx, "standard input", src); err != nil {
			return step{}, err
		}
	} else if r, err = loader.File(ctx, name); err != nil {
		return step{}, err
	}
	return s.starting(r, mode), nil
}

const maxInput = 8 << 20

// starting returns the step that starts the apps of a file.
func (s *starter) starting(r *pm2.Result, mode daemon.StartMode) step {
	for _, n := range r.Notices {
		s.warn(n)
	}
	return step{start: &daemon.Start{Apps: r.Apps, Mode: mode, Parallel: s.parallel, Settings: s.chosen()}, missing: r.Missing}
}

// chosen returns the settings that the operator has set for this command.
func (s *starter) chosen() map[string]string {
	chosen := map[string]string{}
	for _, v := range s.settings.Values {
		if !v.Set() || v.Variable == "SIDEREAL_HOME" {
			continue
		}
		chosen[v.Variable] = v.Text
		if v.Secret {
			chosen[v.Variable] = config.Hidden(v.Text)
		}
	}
	return chosen
}

// carryOut has the daemon do the steps, and starts it where there is none.
func (s *starter) carryOut(ctx context.Context, steps []step) error {
	client, err := s.ensure(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	fallen := "" // an app with a process that did not come up
	var failed []error
	tell := s.happened()
	happened := func(e daemon.Event) {
		if e.Step == "failed" {
			fallen = e.Name
		}
		tell(e)
	}
	for _, step := range steps {
		if step.start != nil {
			err = client.Start(ctx, *step.start, happened)
		} else {
			err = client.Act(ctx, *step.action, happened)
		}
		failed = append(failed, step.missing...)
		if err != nil {
			failed = append(failed, err) // the apps of the other steps needn't stay as they were
		}
		if ctx.Err() != nil {
			break
		}
	}
	err = allOf(failed)
	if err != nil && fallen != "" {
		err = fmt.Errorf("%w\n`%s logs %s` shows what it said", err, calledAs(), fallen)
	}
	if shown := s.show(ctx, client); err == nil {
		err = shown
	}
	if err == nil && s.attach {
		return follow(ctx, &s.control, client, daemon.LogRequest{Follow: true}, processview.Logs{Screen: s.out})
	}
	return err
}

// allOf makes one error of those of several steps. One error stays as it is.
func allOf(failed []error) error {
	switch len(failed) {
	case 0:
		return nil
	case 1:
		return failed[0]
	}
	f := &daemon.Failure{Code: config.ExitFailed}
	var texts []string
	for _, err := range failed {
		texts = append(texts, err.Error())
	}
	f.Text = strings.Join(texts, "\n")
	return f
}

// ensure finds the daemon or starts it, with the settings of this command.
func (s *starter) ensure(ctx context.Context) (*daemon.Client, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	client, started, err := daemon.Ensure(ctx, daemon.Spawn{Home: s.home, Command: []string{self, "daemon"}, Env: s.flaggedEnviron()})
	if err == nil && started {
		s.happened()(daemon.Event{Level: "info", Text: "started the daemon, in " + string(s.home)})
	}
	return client, err
}

// flaggedEnviron is this environment with the settings among the command's flags as variables.
func (s *starter) flaggedEnviron() []string {
	env := environ()
	for _, v := range s.settings.Values {
		if strings.HasPrefix(v.From, "flag ") {
			env = append(env, v.Variable+"="+v.Text) // the last value counts
			if v.Secret {
				env = append(env, v.Variable+"_FILE=")
			}
		}
	}
	return env
}

// isFile reports whether a target is a process file, or the standard input.
func isFile(target string) bool { return target == "-" || pm2.IsFile(target) }

// isName reports whether a target can be a process's name. As in PM2, a word with a slash or an
// extension is a script, but /this/ is an expression.
func isName(target string) bool {
	return !strings.Contains(target, "/") && filepath.Ext(target) == "" || isExpression(target)
}

func isExpression(target string) bool {
	return len(target) > 2 && target[0] == '/' && target[len(target)-1] == '/'
}

func isNumber(target string) bool { return target != "" && strings.Trim(target, "0123456789") == "" }

// ecosystemHere returns the process file of this folder.
func ecosystemHere() (string, error) {
	for _, name := range []string{
		"ecosystem.config.js", "ecosystem.config.cjs", "ecosystem.config.mjs", "ecosystem.json", "ecosystem.yaml", "ecosystem.yml",
	} {
		if _, err := os.Stat(name); err == nil {
			return name, nil
		}
	}
	return "", usageError("there is no ecosystem.config.js in this folder: name a process file or a script, or make one with `" + calledAs() + " init`")
}

// completeFiles completes file names, and names that the daemon has.
func completeFiles(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	targets, _ := completeTargets(cmd, args, word)
	return targets, cobra.ShellCompDirectiveDefault
}
