package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/apikey"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/httpapi"
	"github.com/sidereal-io/sidereal/internal/service"
)

// emitTimeout limits `sidereal emit`, besides the time that --ack waits.
const emitTimeout = 5 * time.Second

// emission is the body of a request to emit.
type emission struct {
	Namespace string            `json:"namespace"`
	Rooms     []string          `json:"rooms,omitempty"`
	Sockets   []string          `json:"sockets,omitempty"`
	Except    []string          `json:"except,omitempty"`
	Event     string            `json:"event"`
	Args      []json.RawMessage `json:"args,omitempty"`
	Volatile  bool              `json:"volatile,omitempty"`
	Timeout   int64             `json:"timeout,omitempty"`
}

// emitCommand makes the command that emits one event.
func emitCommand() *cobra.Command {
	var set config.APIServer
	var body emission
	var ack time.Duration
	cmd := &cobra.Command{
		Use: "emit EVENT [JSON…]", Short: "Emit an event to an app's clients", Args: takes(1, -1),
		Long: `Emit an event to an app's clients. Each argument of the event is JSON. The command uses the HTTP API at
SIDEREAL_API_ADDR with the first of SIDEREAL_API_KEYS. Without that address it uses the Redis at SIDEREAL_REDIS_URL.

If an app of that SIDEREAL_APP runs in this user's daemon, or only one app does, its settings hold where yours are empty.
Elsewhere set SIDEREAL_ADAPTER_KEY=socket.io@APP for a Node app that sets no adapter.

With --ack the command waits for the clients' answers and prints each on a line. It exits with 1 if some are missing.`,
		Example: "  sidereal emit news '\"hello\"' --room lobby\n  sidereal emit ask '{\"id\": 7}' --room staff --namespace /desk --ack 2s",
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := load(cmd, &set)
			if err != nil {
				return err
			}
			body.Event = args[0]
			for _, arg := range args[1:] {
				if !json.Valid([]byte(arg)) {
					return usageError(fmt.Sprintf("%s isn't JSON; a text needs quotes of its own, as in '\"hello\"'", arg))
				}
				body.Args = append(body.Args, json.RawMessage(arg))
			}
			if body.Timeout = ack.Milliseconds(); ack != 0 && body.Timeout < 1 {
				return usageError("--ack must be at least 1ms")
			}
			text, err := json.Marshal(body)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), emitTimeout+ack)
			defer cancel()
			if config.IsOff(set.APIAddr) {
				if err := besideDaemon(ctx, cmd, &set, settings.Get("SIDEREAL_APP").Set()); err != nil {
					return err
				}
			}
			if config.IsOff(set.APIAddr) {
				text, err = service.Emit(ctx, set, text)
			} else {
				text, err = emitOverHTTP(ctx, set, text)
			}
			if err != nil {
				return err
			}
			return printAnswers(cmd, text)
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	flags := cmd.Flags()
	flags.StringArrayVar(&body.Rooms, "room", nil, "to the sockets in this room; may be repeated")
	flags.StringArrayVar(&body.Sockets, "socket", nil, "to the socket with this id; may be repeated")
	flags.StringArrayVar(&body.Except, "except", nil, "not to the sockets in this room; may be repeated")
	flags.StringVar(&body.Namespace, "namespace", "/", "in this namespace")
	flags.BoolVar(&body.Volatile, "volatile", false, "not to clients that aren't ready to receive it")
	flags.DurationVar(&ack, "ack", 0, "wait so long for answers")
	return cmd
}

// besideDaemon fills what is empty in set with the settings of an app in this user's daemon: the one
// that set names, or else the only one. It changes nothing without such an app.
func besideDaemon(ctx context.Context, cmd *cobra.Command, set *config.APIServer, named bool) error {
	var c control
	if _, err := config.Load(&c.set, config.Source{Environ: os.Environ()}); err != nil {
		return err
	}
	var err error
	if c.home, err = daemon.OpenHome(homeFolder(c.set.Home)); err != nil {
		return nil // there is no daemon without a folder
	}
	l, err := c.listing(ctx)
	if err != nil {
		return err
	}
	var found []daemon.AppStatus
	for _, app := range l.Apps {
		theirs := app.App.Env["SIDEREAL_REDIS_URL"]
		if app.Redis != "" && (!named || app.Directory == set.App.App) && (set.RedisURL == "" || set.RedisURL == theirs) {
			found = append(found, app)
		}
	}
	switch {
	case len(found) == 0, len(found) > 1 && set.RedisURL != "":
		return nil
	case len(found) > 1:
		return usageError("the daemon runs several apps: name one with --app")
	}
	return likeApp(cmd, set, found[0], l)
}

// likeApp loads set again, with the settings of an app beneath.
func likeApp(cmd *cobra.Command, set *config.APIServer, app daemon.AppStatus, l daemon.Listing) error {
	environ := []string{"SIDEREAL_APP=" + app.Directory}
	for name, value := range app.App.Env {
		if strings.HasPrefix(name, "SIDEREAL_") && os.Getenv(name) == "" && !config.ForChild(name) {
			environ = append(environ, name+"="+value)
		}
	}
	if _, err := config.Load(set, config.Source{Environ: append(os.Environ(), environ...), Flags: cmd.Flags()}); err != nil {
		return err
	}
	if !config.IsOff(set.APIAddr) {
		return nil
	}
	if set.RedisURL == "" {
		return usageError(app.App.Name + " has an embedded Redis, which no other program reaches: set SIDEREAL_API_ADDR and SIDEREAL_API_KEYS for it")
	}
	for _, p := range l.Processes {
		if p.Adapters > 0 && l.Apps[p.App].Directory == app.Directory {
			set.AdapterKey = adapterenv.ServerKey(set.Cluster, app.Directory, 1)
		}
	}
	return nil
}

// printAnswers prints what clients answered, if anybody was asked.
func printAnswers(cmd *cobra.Command, text []byte) error {
	var found struct {
		Responses      []json.RawMessage
		Asked, Missing int
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	for _, r := range found.Responses {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", r); err != nil {
			return err
		}
	}
	if found.Missing > 0 {
		return fmt.Errorf("%d of %d clients didn't answer", found.Missing, found.Asked)
	}
	return nil
}

// emitOverHTTP asks the HTTP API.
func emitOverHTTP(ctx context.Context, set config.APIServer, body []byte) ([]byte, error) {
	host, port, err := net.SplitHostPort(set.APIAddr)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if set.APITLS == "on" {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+net.JoinHostPort(host, port)+"/v1/emit", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+apikey.First(set.APIKeys))
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, httpapi.MaxAnswer))
	if err != nil || res.StatusCode < http.StatusBadRequest {
		return text, err
	}
	var fault struct{ Title, Detail string }
	if json.Unmarshal(text, &fault) != nil || fault.Title == "" {
		return nil, fmt.Errorf("the HTTP API at %s answers %s", set.APIAddr, res.Status)
	}
	return nil, errors.New(fault.Title + ": " + fault.Detail)
}
