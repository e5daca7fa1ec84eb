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
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sidereal": main, "pm2": main, "pm2-runtime": main})
}

// TestScripts holds the behaviour of the command line. $ADDR, $ADMIN, $REDIS and $PLAIN are free
// addresses of this machine, and $ADDR_PORT and so on their ports.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"ADDR", "ADMIN", "REDIS", "PLAIN"} {
				port := testkit.FreePort(t)
				env.Setenv(name, fmt.Sprintf("127.0.0.1:%d", port))
				env.Setenv(name+"_PORT", strconv.Itoa(port))
			}
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Setenv("SIDEREAL_SHUTDOWN_TIMEOUT", "1s") // clients of a script come once and never again
			env.Values[pids] = map[string]int{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "unready": unready, "get": get, "fetch": fetch, "redis": startRedis, "occupy": occupy,
			"kill9": kill9, "processes": processes, "ended": ended, "reload": reload, "replaced": replaced, "exits": exits,
			"certify": certify, "serves": serves, "redirects": redirects, "session": session, "shows": shows, "hangup": hangup,
			"home": home, "are": processesAre, "remember": remember, "fresh": fresh, "tell": tell, "fresh+": becomesFresh, "gone": gone, "holds": holds,
		},
	})
}

type key string

const (
	pids      key = "pids"
	lookEvery     = 10 * time.Millisecond // at what offers no event
	patience      = 20 * time.Second      // how long a broken script takes to fail
)

// await looks until cond returns nil.
func await(ts *testscript.TestScript, cond func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		err := cond(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("waited %v: %v", patience, err)
		}
	}
}

func client(ts *testscript.TestScript) *admin.Client { return admin.NewClient(ts.Getenv("ADMIN")) }

// ready waits until the host is; "ready n" until n workers of the cluster are ready too.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, client(ts).Ready)
	if len(args) == 0 {
		return
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	await(ts, func(ctx context.Context) error {
		st, err := client(ts).Status(ctx)
		n := 0
		for _, w := range st.Workers {
			if w.State == "ready" {
				n++
			}
		}
		if err == nil && n != want {
			err = fmt.Errorf("%d workers are ready", n)
		}
		return err
	})
}

// unready waits until the host says that it is not ready for a reason with that text.
func unready(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, func(ctx context.Context) error {
		err := client(ts).Ready(ctx)
		if err == nil {
			return errors.New("it is ready")
		}
		if !strings.Contains(err.Error(), args[0]) {
			return fmt.Errorf("not %q: %w", args[0], err)
		}
		return nil
	})
}

// get makes one request, once, and looks for a text in the response.
func get(ts *testscript.TestScript, neg bool, args []string) {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: anyCertificate}, Timeout: patience}
	url := args[0]
	if !strings.HasPrefix(url, "https://") {
		url = "http://" + url
	}
	res, err := c.Get(url)
	if err != nil {
		if !neg {
			ts.Fatalf("%v", err)
		}
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	if strings.Contains(string(body), args[1]) == neg {
		ts.Fatalf("got %s %s", res.Status, body)
	}
}

// fetch waits until the answer of a URL is this status and begins with this text: fetch url status
// text.
func fetch(ts *testscript.TestScript, _ bool, args []string) {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	await(ts, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+args[0], nil)
		ts.Check(err)
		res, err := c.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err == nil && (strconv.Itoa(res.StatusCode) != args[1] || !strings.HasPrefix(string(body), args[2])) {
			err = fmt.Errorf("got %s %s", res.Status, body)
		}
		return err
	})
}

// session opens a polling session at a URL and keeps its sid in a variable.
func session(ts *testscript.TestScript, _ bool, args []string) {
	res, err := http.Get("http://" + args[1] + "/socket.io/?EIO=4&transport=polling")
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	var open struct{ SID string }
	ts.Check(json.Unmarshal(bytes.TrimPrefix(body, []byte("0")), &open))
	ts.Setenv(args[0], open.SID)
}

// shows runs a command until a text is in its output: what hosts tell each other takes its time.
func shows(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, func(context.Context) error {
		if err := ts.Exec(args[1], args[2:]...); err != nil {
			return err
		}
		if out := ts.ReadFile("stdout"); !strings.Contains(out, args[0]) {
			return fmt.Errorf("no %q in %q", args[0], out)
		}
		return nil
	})
}

// startRedis serves an in-memory Redis at $REDIS with a password.
func startRedis(ts *testscript.TestScript, _ bool, args []string) {
	m := miniredis.NewMiniRedis()
	m.RequireAuth(args[0])
	ts.Check(m.StartAddr(ts.Getenv("REDIS")))
	ts.Defer(m.Close)
}

// occupy listens on an address, unless somebody does already.
func occupy(ts *testscript.TestScript, _ bool, args []string) {
	if l, err := net.Listen("tcp", args[0]); err == nil {
		ts.Defer(func() { l.Close() })
	}
}

// processes remembers the host's processes.
func processes(ts *testscript.TestScript, _ bool, _ []string) {
	st, err := client(ts).Status(context.Background())
	ts.Check(err)
	known := ts.Value(pids).(map[string]int)
	for _, p := range st.Processes {
		known[p.Name] = p.PID
	}
}

// kill9 kills a process of the host, and waits until another one has taken its place.
func kill9(ts *testscript.TestScript, _ bool, args []string) {
	processes(ts, false, nil)
	pid := ts.Value(pids).(map[string]int)[args[0]]
	if pid <= 1 {
		ts.Fatalf("there is no %s", args[0])
	}
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	await(ts, func(ctx context.Context) error {
		st, err := client(ts).Status(ctx)
		for _, p := range st.Processes {
			if p.Name == args[0] && p.State == "ready" && p.PID != pid {
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("%s is not back", args[0]))
	})
}

// reload sends SIGUSR2 to the host, hangup SIGHUP.
func reload(ts *testscript.TestScript, _ bool, _ []string) { signalHost(ts, syscall.SIGUSR2) }

func hangup(ts *testscript.TestScript, _ bool, _ []string) { signalHost(ts, syscall.SIGHUP) }

func signalHost(ts *testscript.TestScript, sig syscall.Signal) {
	st, err := client(ts).Status(context.Background())
	ts.Check(err)
	if st.PID <= 1 || st.Role != "up" {
		ts.Fatalf("the host says that it is %s %d", st.Role, st.PID)
	}
	ts.Check(syscall.Kill(st.PID, sig))
}

// replaced waits until other processes than the remembered ones stand ready in these places.
func replaced(ts *testscript.TestScript, _ bool, args []string) {
	known := ts.Value(pids).(map[string]int)
	await(ts, func(ctx context.Context) error {
		st, err := client(ts).Status(ctx)
		for _, p := range st.Processes {
			if slices.Contains(args, p.Name) && (p.PID == known[p.Name] || p.State != "ready") {
				return fmt.Errorf("%s is %d, %s", p.Name, p.PID, p.State)
			}
		}
		return err
	})
}

// exits runs a command and looks at its exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if want, _ := strconv.Atoi(args[0]); code != want {
		ts.Fatalf("exit code %d, want %d (%v)", code, want, err)
	}
}

// ended waits until none of the remembered processes lives, and looks that they left no folder.
func ended(ts *testscript.TestScript, _ bool, args []string) {
	for name, pid := range ts.Value(pids).(map[string]int) {
		await(ts, func(context.Context) error {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("%s lives", name)
			}
			return nil
		})
	}
	left, err := os.ReadDir(ts.Getenv("TMPDIR"))
	ts.Check(err)
	want := 0
	if len(args) > 0 {
		want, err = strconv.Atoi(args[0])
		ts.Check(err)
	}
	n := 0
	for _, e := range left {
		if strings.HasPrefix(e.Name(), "sidereal-") {
			n++
		}
	}
	if n != want {
		ts.Fatalf("%d runtime folders are left, want %d", n, want)
	}
}
