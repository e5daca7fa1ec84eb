package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/admin"
)

// TestSystemd starts a host as systemd does a unit with Type=notify and two sockets: a client that
// came before it is served, nothing is listened on that was not given, and its life is told.
func TestSystemd(t *testing.T) {
	temp, err := os.MkdirTemp("/tmp", "") // short: unix addresses are
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(temp, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	manager.SetReadDeadline(time.Now().Add(2 * patience))
	var addrs []string
	var files []*os.File
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(*net.TCPListener).File()
		l.Close()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		addrs, files = append(addrs, l.Addr().String()), append(files, f)
	}
	early, err := net.Dial("tcp", addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	early.SetDeadline(time.Now().Add(2 * patience))

	cmd := exec.Command("sh", "-c", "LISTEN_PID=$$ exec sidereal up -i 1 --log-format json")
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "GORACE=atexit_sleep_ms=0", "SIDEREAL_SHUTDOWN_TIMEOUT=1s",
		"LISTEN_FDS=2", "LISTEN_FDNAMES=sidereal.socket:admin", "NOTIFY_SOCKET="+manager.LocalAddr().String(),
		"SIDEREAL_ADDR=127.0.0.1:1", "SIDEREAL_ADMIN_ADDR=127.0.0.1:1") // not to be used
	cmd.ExtraFiles = files
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	if told := hear(t, manager); told != "READY=1" {
		t.Errorf("told %q", told)
	}
	io.WriteString(early, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if b, err := io.ReadAll(early); err != nil || !strings.Contains(string(b), `0{"sid":"`) {
		t.Errorf("who came early got %q, %v", b, err)
	}
	if err := admin.NewClient(addrs[1]).Ready(context.Background()); err != nil {
		t.Error(err)
	}
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	if res, err := c.Get("http://" + addrs[0] + "/"); err != nil || res.StatusCode != 200 {
		t.Error(res, err)
	} else {
		res.Body.Close()
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if told := hear(t, manager); told != "STOPPING=1" {
		t.Errorf("told %q", told)
	}
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s", err, said.String())
	}
}

func hear(t *testing.T, manager *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 1000)
	n, err := manager.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}
