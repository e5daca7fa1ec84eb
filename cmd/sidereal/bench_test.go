package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/sidereal-io/sidereal/internal/bench"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

// benchServer echoes, to those who show that they may.
func benchServer(t *testing.T) (url string) {
	t.Helper()
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	nsp := io.Of("/in")
	nsp.Use(func(_ context.Context, s *socketio.Socket) error {
		if string(s.Handshake().Auth) != `{"token":1}` {
			return &socketio.Error{Message: "not you"}
		}
		return nil
	})
	nsp.On("echo", func(args socketio.Args) socketio.Args { return args })
	return testkit.Serve(t, io).URL
}

// runBench runs the command as a process of its own.
func runBench(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sidereal", append([]string{"bench"}, args...)...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if errs.Len() > 0 {
		t.Errorf("%v: %s", args, errs.String())
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestBenchAddsUp(t *testing.T) {
	url := benchServer(t)
	for _, transport := range []string{"websocket", "polling", "upgrade"} {
		for _, loop := range [][]string{{"--rate", "500", "--binary"}, nil} {
			args := append([]string{url, "--json", "--clients", "10", "--duration", "100ms", "--transport", transport,
				"--namespace", "in", "--auth", `{"token":1}`}, loop...)
			out, code := runBench(t, args...)
			var r bench.Report
			if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
				t.Fatalf("%v: exit code %d, %v: %s", args, code, err, out)
			}
			if c := r.Clients; c.Connected != 10 || c.Failed+c.Lost != 0 || transport != "upgrade" && c.Upgraded != 0 {
				t.Errorf("%v: %+v", args, c)
			}
			e := r.Events
			if loop != nil && e.Sent != 50 || e.Sent < 10 || e.Acknowledged != e.Sent || e.Failed != 0 || e.BytesReceived != e.BytesSent {
				t.Errorf("%v: %+v", args, e)
			}
			if l := e.LatencyMs; l.P50 <= 0 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.Max {
				t.Errorf("%v: %+v", args, l)
			}
		}
	}
}

func TestBenchNamesWhatFails(t *testing.T) {
	url := benchServer(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{url, "--namespace", "/in"}, "failed  3: refused in /in: not you\n"},
		{[]string{fmt.Sprintf("http://127.0.0.1:%d", testkit.FreePort(t))}, "failed  3: connection refused\n"},
	} {
		out, code := runBench(t, append(c.args, "--clients", "3", "--duration", "1ms")...)
		if code != 1 || !strings.Contains(out, c.want) {
			t.Errorf("%v: exit code %d, %s", c.args, code, out)
		}
	}
}

func TestBenchRefusesWrongFlags(t *testing.T) {
	for _, c := range []struct {
		flag, value, want string
	}{
		{"--clients", "0", `--clients="0" must be a number from 1 to 1000000`},
		{"--connect-rate", "NaN", `--connect-rate="NaN" must be above 0`},
		{"--transport", "carrier pigeon", `--transport="carrier pigeon" must be websocket, polling or upgrade`},
		{"--auth", "[1]", `--auth="[1]" must be a JSON object`},
		{"--duration", "0s", `--duration="0s" must be above 0`},
		{"--event", "connect", `--event="connect" must not be a name`},
		{"--size", "-1", `--size="-1" must be a number`},
		{"--rate", "-1", `--rate="-1" must be from 0`},
		{"--timeout", "0s", `--timeout="0s" must be above 0`},
	} {
		if err := checkBench(t, "http://host", c.flag, c.value); !strings.HasPrefix(err.Error(), c.want) || config.ExitCode(err) != 2 {
			t.Errorf("%s %s: %v", c.flag, c.value, err)
		}
	}
	for _, url := range []string{"localhost:8080", "ftp://host", "http://host/chat", "http://"} {
		if err := checkBench(t, url); !strings.HasPrefix(err.Error(), `URL="`+url+`" must be http, https`) || config.ExitCode(err) != 2 {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func checkBench(t *testing.T, url string, args ...string) error {
	t.Helper()
	var set benchFlags
	flags := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	set.add(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	set.load.Client.URL = url
	err := set.check()
	if err == nil {
		t.Fatalf("%s %v: no error", url, args)
	}
	return err
}
