//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// startLoad is how busy the machine was with other things before we began.
var startLoad = loadAverage()

// machine describes where this runs, without names.
func machine() string {
	var b strings.Builder
	var info unix.Sysinfo_t
	_ = unix.Sysinfo(&info) // zero memory is seen to be wrong
	fmt.Fprintf(&b, "- %d cores (%s), %d GiB of memory, Linux %s, %s\n", runtime.NumCPU(), processor(), info.Totalram>>30, kernel(), runtime.GOARCH)
	fmt.Fprintf(&b, "- %s, Node %s, nginx %s, HAProxy %s, Redis %s\n", strings.Replace(runtime.Version(), "go", "Go ", 1),
		version("node", "--version"), version("nginx", "-v"), version("haproxy", "-v"), version("redis-server", "--version"))
	fmt.Fprintf(&b, "- load average before the start: %s\n", startLoad)
	return b.String()
}

var dotted = regexp.MustCompile(`\d+(\.\d+)+`)

// version finds the number in what a program says about itself.
func version(program string, arg string) string {
	out, _ := exec.Command(program, arg).CombinedOutput() // it has run before
	return dotted.FindString(string(out))
}

func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return dotted.FindString(string(text))
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

func revision() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
