package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// together gives commands at the same time, each some times, and fails where one doesn't end.
func (r *running) together(times int, commands ...func(context.Context) error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*limit)
	defer cancel()
	var all sync.WaitGroup
	for i, command := range commands {
		all.Go(func() {
			for n := range times {
				err := command(ctx)
				var f *Failure
				if err != nil && !errors.As(err, &f) {
					r.t.Errorf("command %d, time %d: %v", i, n, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// left checks that the list is consistent: every process has an app, and an app its services.
func (r *running) consistent() {
	r.t.Helper()
	l := r.list()
	for _, p := range l.Processes {
		status, ok := l.Apps[p.App]
		if !ok {
			r.t.Errorf("process %d has no app", p.ID)
		}
		if p.Mode == pm2.Cluster && !slices.ContainsFunc(status.Services, func(s Service) bool { return s.Name == p.App+"/nodehost" }) {
			r.t.Errorf("process %d has no nodehost: %+v", p.ID, status.Services)
		}
	}
	for key := range l.Apps {
		if !slices.ContainsFunc(l.Processes, func(p Process) bool { return p.App == key }) {
			r.t.Errorf("app %s has no process", key)
		}
	}
}

// empty deletes everything, and checks that nothing is left.
func (r *running) empty() {
	r.t.Helper()
	if len(r.list().Processes) > 0 {
		r.must(r.act(Action{Verb: Delete, Targets: []string{"all"}}))
	}
	l := r.list()
	l.Services = slices.DeleteFunc(l.Services, func(s Service) bool { return s.Name == host.RedisPlace }) // it stays for the next app
	if len(l.Processes)+len(l.Apps)+len(l.Services) > 0 {
		r.t.Errorf("left: %+v", l)
	}
}

// TestAllCommandsAtOnce gives all commands at once to apps of each kind, whose processes crash, are
// restarted by the clock, and whose files change. It is for the race detector, and for commands
// that never end.
func TestAllCommandsAtOnce(t *testing.T) {
	r := runDaemon(t)
	watched := t.TempDir()
	apps := map[string]pm2.App{}
	add := func(a pm2.App) {
		a.KillTimeout, a.MaxRestarts = ms(5000), 1000
		apps[a.Name] = a
	}
	api := app(t, "api", "worker")
	api.Watch, api.CronRestart, api.Instances = []string{watched}, "* * * * * *", 2
	add(api)
	web := interpreted(t, app(t, "web", "node", "SIDEREAL_ADDR=", "FAKE_LISTEN="+freeAddr(t)+" "+freeAddr(t)), "node")
	web.ExecMode = pm2.Cluster
	add(web)
	add(interpreted(t, app(t, "fork", "node"), "node"))
	add(interpreted(t, app(t, "py", "program"), "python3"))
	add(interpreted(t, app(t, "crash", "crash"), "sh"))
	names := []string{"api", "web", "fork", "py", "crash"}
	any := func() string { return append(names, "all", "0", "1", "default")[rand.IntN(len(names)+4)] }
	act := func(a Action) func(context.Context) error {
		return func(ctx context.Context) error {
			a := a
			a.Targets = []string{any()}
			return r.Act(ctx, a, nil)
		}
	}
	start := func(mode StartMode) func(context.Context) error {
		return func(ctx context.Context) error {
			return r.Start(ctx, Start{Apps: []pm2.App{apps[names[rand.IntN(len(names))]]}, Mode: mode, Parallel: 2}, nil)
		}
	}
	r.together(4,
		start(StartNew), start(StartRestart), start(StartReload), start(StartRestart),
		act(Action{Verb: Stop}), act(Action{Verb: Restart, Env: map[string]string{"COLOR": "blue"}}), act(Action{Verb: Reload, Parallel: 2}),
		act(Action{Verb: Delete}), act(Action{Verb: Scale, Count: "+1"}), act(Action{Verb: Scale, Count: "1"}), act(Action{Verb: Reset}),
		act(Action{Verb: Signal, Signal: "SIGCONT"}), act(Action{Verb: Send, Text: "hello"}), act(Action{Verb: Flush}), act(Action{Verb: ReloadLogs}),
		func(ctx context.Context) error { _, err := r.List(ctx); return err },
		func(ctx context.Context) error { _, err := r.Ping(ctx); return err },
		func(ctx context.Context) error { _, err := r.Save(ctx, true); return err },
		func(ctx context.Context) error { return r.Resurrect(ctx, nil) },
		func(ctx context.Context) error {
			return r.Logs(ctx, LogRequest{Targets: []string{any()}, Lines: 3}, func(LogLine) error { return nil })
		},
		func(ctx context.Context) error { // one that follows, and goes
			gone := errors.New("gone")
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			err := r.Logs(ctx, LogRequest{Lines: 1, Follow: true}, func(LogLine) error { return gone })
			if errors.Is(err, gone) {
				return nil
			}
			return err
		},
		func(context.Context) error {
			return os.WriteFile(filepath.Join(watched, fmt.Sprint(rand.IntN(3))), []byte("x"), 0o600)
		},
		func(context.Context) error { // a process that is killed
			for _, p := range r.list().Processes {
				if p.PID != 0 {
					syscall.Kill(p.PID, syscall.SIGKILL)
					break
				}
			}
			return nil
		},
		func(context.Context) error { return syscall.Kill(os.Getpid(), syscall.SIGUSR2) }, // reload
	)
	r.consistent()
	r.empty()
	r.must(r.start(StartNew, apps["web"]))
	r.must(r.start(StartNew, apps["fork"]))
	r.empty()
}

// Deletes go before everything else: beside scale, start, reload and each other, all of them end,
// and the app is gone.
func TestDeleteBesideOtherCommands(t *testing.T) {
	for name, beside := range map[string]func(r *running, a pm2.App) func(context.Context) error{
		"scale": func(r *running, a pm2.App) func(context.Context) error {
			return func(ctx context.Context) error {
				return r.Act(ctx, Action{Verb: Scale, Targets: []string{a.Name}, Count: "+2"}, nil)
			}
		},
		"start": func(r *running, a pm2.App) func(context.Context) error {
			return func(ctx context.Context) error {
				return r.Start(ctx, Start{Apps: []pm2.App{a}, Mode: StartRestart}, nil)
			}
		},
		"start with another setting": func(r *running, a pm2.App) func(context.Context) error {
			a.GID = "" // of the same kind
			a.LogType = "json"
			return func(ctx context.Context) error {
				return r.Start(ctx, Start{Apps: []pm2.App{a}, Mode: StartRestart}, nil)
			}
		},
		"reload": func(r *running, a pm2.App) func(context.Context) error {
			return func(ctx context.Context) error {
				return r.Act(ctx, Action{Verb: Reload, Targets: []string{a.Name}}, nil)
			}
		},
		"restart": func(r *running, a pm2.App) func(context.Context) error {
			return func(ctx context.Context) error {
				return r.Act(ctx, Action{Verb: Restart, Targets: []string{a.Name}}, nil)
			}
		},
		"delete": func(r *running, a pm2.App) func(context.Context) error {
			return func(ctx context.Context) error {
				return r.Act(ctx, Action{Verb: Delete, Targets: []string{a.Name}}, nil)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runDaemon(t)
			a := interpreted(t, app(t, "web", "node", "SIDEREAL_ADDR=", "FAKE_LISTEN="+freeAddr(t)), "node")
			a.ExecMode, a.Instances = pm2.Cluster, 2
			r.must(r.start(StartNew, a))
			del := func(ctx context.Context) error {
				return r.Act(ctx, Action{Verb: Delete, Targets: []string{"web"}}, nil)
			}
			one := func(ctx context.Context) error {
				return r.Act(ctx, Action{Verb: Delete, Targets: []string{"1"}}, nil)
			}
			r.together(3, beside(r, a), del, one)
			r.consistent()
			r.empty()
		})
	}
}

// A delete ends a start that waits for a process which never gets ready, and both say so.
func TestDeleteEndsAStartThatWaits(t *testing.T) {
	r := runDaemon(t)
	done := make(chan error, 1)
	go func() {
		done <- r.Start(context.Background(), Start{Mode: StartNew, Apps: []pm2.App{app(t, "stuck", "mute")}}, nil)
	}()
	r.eventually("launching", func(l Listing) bool { return len(l.Processes) == 1 && l.Processes[0].PID != 0 })
	r.must(r.act(Action{Verb: Delete, Targets: []string{"stuck"}}))
	fails(t, <-done, 1, "stuck: another command has deleted")
	r.empty()
	// The name is free.
	r.must(r.start(StartNew, app(t, "stuck", "worker")))
	if l := r.list(); len(l.Apps) != 1 || l.Processes[0].App != "stuck" || strings.Contains(l.Processes[0].App, ".") {
		t.Errorf("%+v", l)
	}
}
