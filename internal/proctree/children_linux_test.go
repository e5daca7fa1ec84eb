package proctree

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestChildren finds the children of any thread of a process, also those that nobody has reaped, and
// no grandchildren.
func TestChildren(t *testing.T) {
	shell := exec.Command("sh", "-c", "sleep 60 & echo $!; read line; kill $!")
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	line, err := said.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	sleeper, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	pid := shell.Process.Pid
	if got := Children(pid); !slices.Equal(got, []int{sleeper}) {
		t.Errorf("the shell's children are %v, want %d", got, sleeper)
	}
	if got := Children(os.Getpid()); !slices.Contains(got, pid) || slices.Contains(got, sleeper) {
		t.Errorf("our children are %v, want %d", got, pid)
	}
	if err := in.Close(); err != nil { // the shell ends its child, and itself
		t.Error(err)
	}
	_, _ = said.ReadString('\n') // its end
	if got := Children(os.Getpid()); !slices.Contains(got, pid) {
		t.Errorf("our children are %v without %d, which nobody has reaped", got, pid)
	}
	_ = shell.Wait() // read fails at the end of its input
	if got := Children(pid); len(got) != 0 {
		t.Errorf("a process that is gone has the children %v", got)
	}
}
