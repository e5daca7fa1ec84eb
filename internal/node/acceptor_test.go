package node

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestServersThatNoRouterCanServe: connections of TLS and of other protocols go to the processes
// that listen, in turn, and from one that is full to the next.
func TestServersThatNoRouterCanServe(t *testing.T) {
	w := newWorld(t)
	w.listens = func(addr string) lifeline.ListenedTold {
		t.Errorf("a router is asked to serve %s", addr)
		return lifeline.ListenedTold{}
	}
	raw, tls := testkit.FreePort(t), testkit.FreePort(t)
	const most = 3
	serves := testkit.NewCertificate(t)
	h := how{script: "testdata/raw.js", env: []string{"RAW_PORT=" + strconv.Itoa(raw), "TLS_PORT=" + strconv.Itoa(tls),
		"CERT=" + serves.Cert, "KEY=" + serves.Key, "MOST=" + strconv.Itoa(most)}}
	list := w.workers(2, h)
	if r := w.await(list[0].id, lifeline.ChildReady); r.By != byListening {
		t.Errorf("ready by %q", r.By)
	}
	addr := "127.0.0.1:" + strconv.Itoa(raw)
	var open []net.Conn
	served := map[int]int{}
	for range 2 * most {
		c, pid := greet(t, addr)
		open = append(open, c)
		served[pid]++
	}
	if served[list[0].cmd.Process.Pid] != most || served[list[1].cmd.Process.Pid] != most {
		t.Errorf("served by %v", served)
	}
	full, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(full); len(b) > 0 {
		t.Errorf("a connection too many: %q", b)
	}
	full.Close()
	for _, c := range open {
		c.Close()
	}

	url := fmt.Sprint("https://127.0.0.1:", tls)
	c := w.startCheck("load", map[string]any{"url": url, "clients": 8, "by": []string{"websocket"}})
	c.line("talking")
	next := w.workers(1, h)[0]
	w.leave(list[0])
	w.leave(list[1])
	c.stdin.Write([]byte("over\n"))
	c.line("done")
	c.end()
	for range most {
		c, pid := greet(t, addr)
		defer c.Close()
		if pid != next.cmd.Process.Pid {
			t.Errorf("served by %d, want the one that is left", pid)
		}
	}
	message, _ := json.Marshal(lifeline.SendTold{ID: next.id, Message: json.RawMessage(`"close"`)})
	w.told(lifeline.Told{Key: lifeline.Send, Value: string(message)})
	testkit.Until(t, "the port to be closed", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
}

// greet connects, hears which process is there, and gets an echo.
func greet(t *testing.T, addr string) (c net.Conn, pid int) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintln(c, "hello")
	line, err := bufio.NewReader(c).ReadString('\n')
	who, rest, _ := strings.Cut(line, " ")
	if pid, _ = strconv.Atoi(who); err != nil || pid == 0 || rest != "hello\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return c, pid
}
