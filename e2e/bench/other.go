//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: reads CPU time and memory of processes from Linux's /proc")
	os.Exit(1)
}
