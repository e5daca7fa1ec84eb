//go:build unix

package testkit

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
)

func ask(t *testing.T, addr string) (string, error) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

func TestRedisLivesAndDiesWithTheTest(t *testing.T) {
	r := StartRedis(t)
	if answer, err := ask(t, r.Addr()); answer != "+PONG" {
		t.Fatalf("got %q, %v", answer, err)
	}
	r.Kill()
	if _, err := ask(t, r.Addr()); err == nil {
		t.Fatal("a killed Redis answers")
	}
	addr := r.Addr()
	r.Restart()
	if answer, err := ask(t, addr); answer != "+PONG" {
		t.Fatalf("after Restart: got %q, %v", answer, err)
	}
	r.Stop()
	r.Cont()
	if answer, err := ask(t, addr); answer != "+PONG" {
		t.Fatalf("after Cont: got %q, %v", answer, err)
	}
}
