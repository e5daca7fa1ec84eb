package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sidereal-io/sidereal/internal/pm2"
)

// home gives the script a daemon of its own, which ends with the script at the latest: home
// [variable].
func home(ts *testscript.TestScript, _ bool, args []string) {
	name := "SIDEREAL_HOME"
	if len(args) > 0 {
		name = args[0]
	}
	dir := ts.MkAbs("h")
	ts.Setenv(name, dir)
	sidereal, err := exec.LookPath("sidereal")
	ts.Check(err)
	ts.Defer(func() {
		cmd := exec.Command(sidereal, "kill")
		cmd.Env = append(os.Environ(), "SIDEREAL_HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			ts.Logf("kill: %v\n%s", err, out)
		}
	})
}

// jlisted is what scripts read from jlist.
type jlisted struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`
	ID   int    `json:"pm_id"`
	Env  struct {
		Status   string `json:"status"`
		Restarts int    `json:"restart_time"`
	} `json:"pm2_env"`
}

func listed(ts *testscript.TestScript) (list []jlisted) {
	cmd := exec.Command("sidereal", "jlist") // not by ts: what is waited for fills the log
	cmd.Env = append(os.Environ(), "SIDEREAL_HOME="+ts.Getenv("SIDEREAL_HOME"))
	out, err := cmd.Output()
	ts.Check(err)
	ts.Check(json.Unmarshal(out, &list))
	return list
}

// processesAre waits until jlist shows just these: are name:id:status...; a status of online also
// means a pid.
func processesAre(ts *testscript.TestScript, _ bool, args []string) {
	want := strings.Join(args, " ")
	await(ts, func(context.Context) error {
		var got []string
		for _, p := range listed(ts) {
			if (p.Env.Status == "online") != (p.PID > 0) {
				return fmt.Errorf("%s is %s and has the pid %d", p.Name, p.Env.Status, p.PID)
			}
			got = append(got, fmt.Sprintf("%s:%d:%s", p.Name, p.ID, p.Env.Status))
		}
		if strings.Join(got, " ") != want {
			return fmt.Errorf("there are %s", got)
		}
		return nil
	})
}

// remember keeps the process ids of all processes, under id.
func remember(ts *testscript.TestScript, _ bool, _ []string) {
	known := ts.Value(pids).(map[string]int)
	for _, p := range listed(ts) {
		known[strconv.Itoa(p.ID)] = p.PID
	}
}

// fresh looks that processes are others than the remembered ones, and the same with !.
func fresh(ts *testscript.TestScript, neg bool, args []string) {
	known := ts.Value(pids).(map[string]int)
	for _, p := range listed(ts) {
		for _, id := range args {
			if strconv.Itoa(p.ID) == id && (p.PID == known[id]) != neg {
				ts.Fatalf("process %s had the pid %d and has %d", id, known[id], p.PID)
			}
		}
	}
}

// becomesFresh waits until processes are others than the remembered ones.
func becomesFresh(ts *testscript.TestScript, _ bool, args []string) {
	known := ts.Value(pids).(map[string]int)
	await(ts, func(context.Context) error {
		for _, p := range listed(ts) {
			for _, id := range args {
				if strconv.Itoa(p.ID) == id && (p.PID == known[id] || p.Env.Status != "online") {
					return fmt.Errorf("process %s is %d, %s", id, p.PID, p.Env.Status)
				}
			}
		}
		return nil
	})
}

// tell sends a signal to the daemon, or to the foreground process that is one: tell USR2.
func tell(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command("sidereal", "ping", "--json")
	cmd.Env = append(os.Environ(), "SIDEREAL_HOME="+ts.Getenv("SIDEREAL_HOME"))
	out, err := cmd.Output()
	ts.Check(err)
	var info struct {
		PID int `json:"pid"`
	}
	ts.Check(json.Unmarshal(out, &info))
	s, err := pm2.ParseSignal(args[0])
	ts.Check(err)
	if info.PID <= 1 {
		ts.Fatalf("the daemon says that it is %d", info.PID)
	}
	ts.Check(syscall.Kill(info.PID, s))
}

// gone waits until none of the processes lives whose ids stand in the files.
func gone(ts *testscript.TestScript, _ bool, args []string) {
	for _, pattern := range args {
		files, err := filepath.Glob(ts.MkAbs(pattern))
		ts.Check(err)
		if len(files) == 0 {
			ts.Fatalf("there is no file %s", pattern)
		}
		for _, file := range files {
			pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(file)))
			ts.Check(err)
			await(ts, func(context.Context) error {
				if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
					return fmt.Errorf("%d of %s lives", pid, file)
				}
				return nil
			})
		}
	}
}

// holds waits until a file has a line: holds file line.
func holds(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, func(context.Context) error {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && !strings.Contains("\n"+string(text), "\n"+args[1]+"\n") {
			err = fmt.Errorf("%s holds %q", args[0], text)
		}
		return err
	})
}
