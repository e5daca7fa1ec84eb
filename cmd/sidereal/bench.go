package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sidereal-io/sidereal/internal/bench"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// benchFlags has the flags of `sidereal bench`. They have no variables, because each load is run
// once.
type benchFlags struct {
	load      bench.Config
	transport string
	auth      string
	json      bool
}

func benchCommand() *cobra.Command {
	var set benchFlags
	cmd := &cobra.Command{
		Use: "bench [URL]", Short: "Measure a Socket.IO server under the load of many clients", Args: takes(0, 1),
		Long: `Measure the Socket.IO server at a URL, by default http://localhost:8080. The command connects clients, which emit
events and wait for acknowledgements. It prints how many events were acknowledged and how long that took. The server's app
must acknowledge the event. The demo app acknowledges echo.

Without --rate each client emits its next event when the server has acknowledged the last one. With --rate events are
due at fixed times, and the latency of an event counts from that time. Ctrl-C ends the load early. The exit code is 1 if a
client couldn't connect or was lost, or if the server didn't acknowledge an event.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			set.load.Client.URL = "http://localhost:8080"
			if len(args) > 0 {
				set.load.Client.URL = args[0]
			}
			if err := set.check(); err != nil {
				return err
			}
			if config.Terminal(os.Stderr) {
				set.load.Progress = os.Stderr
			}
			ctx, stop := untilSignal(exitAtOnce)
			defer stop()
			return set.run(ctx, cmd.OutOrStdout())
		},
	}
	set.add(cmd.Flags())
	_ = cmd.RegisterFlagCompletionFunc("transport", cobra.FixedCompletions(slices.Sorted(maps.Keys(bench.Transports)), cobra.ShellCompDirectiveNoFileComp)) // declared above
	return cmd
}

func (b *benchFlags) add(flags *pflag.FlagSet) {
	l := &b.load
	flags.IntVar(&l.Clients, "clients", 100, "number of clients")
	flags.Float64Var(&l.ConnectRate, "connect-rate", 500, "clients that begin to connect per second, at most")
	flags.StringVar(&b.transport, "transport", "websocket", "websocket, polling, or upgrade (polling first)")
	flags.StringVar(&l.Namespace, "namespace", "/", "namespace that clients connect to")
	flags.StringVar(&l.Client.Path, "path", "/socket.io/", "path of Socket.IO on the server")
	flags.StringVar(&b.auth, "auth", "", "auth of the clients, a JSON object")
	flags.DurationVar(&l.Duration, "duration", 10*time.Second, "time to emit, after all clients have connected")
	flags.StringVar(&l.Event, "event", "echo", "event that clients emit; if empty, they only stay connected")
	flags.IntVar(&l.Size, "size", 128, "bytes in an event's argument")
	flags.BoolVar(&l.Binary, "binary", false, "send the argument as binary instead of text")
	flags.Float64Var(&l.Rate, "rate", 0, "events per second of all clients together; 0: each client emits when the server has acknowledged its last event")
	flags.DurationVar(&l.Client.Timeout, "timeout", 10*time.Second, "time to connect, and to wait for the last acknowledgements")
	flags.BoolVar(&b.json, "json", false, "print JSON")
}

// check checks the flags, and completes the load.
func (b *benchFlags) check() error {
	l := &b.load
	l.Client.Transports = bench.Transports[b.transport]
	var auth map[string]json.RawMessage
	if b.auth != "" {
		l.Client.Auth = json.RawMessage(b.auth)
	}
	for _, r := range []struct {
		flag  string
		value any
		wrong bool
		rule  string
	}{
		{"--clients", l.Clients, l.Clients < 1 || l.Clients > 1_000_000, "must be a number from 1 to 1000000"},
		{"--connect-rate", l.ConnectRate, !(l.ConnectRate > 0 && l.ConnectRate <= 1e6), "must be above 0, and 1000000 at most"},
		{"--transport", b.transport, l.Client.Transports == nil, "must be websocket, polling or upgrade"},
		{"--auth", b.auth, b.auth != "" && (json.Unmarshal([]byte(b.auth), &auth) != nil || auth == nil), "must be a JSON object"},
		{"--duration", l.Duration, l.Duration <= 0 || l.Duration > 24*time.Hour, "must be above 0, and 24h at most"},
		{"--event", l.Event, packet.Reserved(l.Event), "must not be a name that Socket.IO keeps for itself"},
		{"--size", l.Size, l.Size < 0 || l.Size > 8<<20, "must be a number from 0 to 8388608"},
		{"--rate", l.Rate, !(l.Rate >= 0 && l.Rate <= 1e6), "must be from 0 to 1000000"},
		{"--timeout", l.Client.Timeout, l.Client.Timeout <= 0 || l.Client.Timeout > time.Hour, "must be above 0, and 1h at most"},
		{"URL", l.Client.URL, l.Client.Validate() != nil, "must be http, https, ws or wss, and a host without a path: there are --path and --namespace"},
	} {
		if r.wrong {
			return &config.ValueError{Variable: r.flag, Value: fmt.Sprint(r.value), Rule: r.rule}
		}
	}
	return nil
}

// run runs the load and shows its result.
func (b *benchFlags) run(ctx context.Context, out io.Writer) error {
	report, err := bench.Run(ctx, b.load)
	if err != nil {
		return err
	}
	if b.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(report)
	} else {
		err = report.Print(out)
	}
	if err == nil && report.Failed() {
		return exitCode(config.ExitFailed)
	}
	return err
}
