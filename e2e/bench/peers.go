//go:build linux

package main

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Two systems need what a machine may lack. The benchmark leaves them out then, and says so.
const (
	bun   = "G" // one Bun process
	limit = "L" // one thread of C
)

//go:embed limit/limit.c
var limitSource []byte

// buildLimit compiles the limit.
func (f *fleet) buildLimit() error {
	source := filepath.Join(f.dir, "limit.c")
	if err := os.WriteFile(source, limitSource, 0o600); err != nil {
		return err
	}
	if out, err := exec.Command("cc", "-O2", "-o", f.limitPath(), source).CombinedOutput(); err != nil {
		return fmt.Errorf("cc: %w\n%s", err, out)
	}
	return nil
}

func (f *fleet) limitPath() string { return filepath.Join(f.dir, "limit") }

// bunFolder has Bun and its packages, once `npm ci` ran there.
func (f *fleet) bunFolder() string { return filepath.Join(f.root, "e2e", "bench", "bun") }

// bunPath is Bun's program for this machine, or "". Its npm package would link it by a script.
func (f *fleet) bunPath() string {
	found, err := filepath.Glob(filepath.Join(f.bunFolder(), "node_modules", "@oven", "bun-linux-*", "bin", "bun"))
	if err != nil || len(found) == 0 {
		return ""
	}
	return found[0]
}

// missing returns why a system can't run here, or "".
func (f *fleet) missing(key string) string {
	switch key {
	case bun:
		if f.bunPath() == "" {
			return "no Bun (`npm ci --prefix e2e/bench/bun` installs it, 140 MB)"
		}
	case limit:
		if _, err := exec.LookPath("cc"); err != nil {
			return "no C compiler"
		}
	}
	return ""
}

func (f *fleet) bun(s *system) error {
	_, port, _ := net.SplitHostPort(s.entry())
	return s.start("bun", []string{"BENCH_PORT=" + port, "NODE_ENV=production"}, f.bunPath(), filepath.Join(f.bunFolder(), "server.mjs"))
}

func (f *fleet) limit(s *system) error {
	if err := f.buildLimit(); err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(s.entry())
	return s.start("limit", nil, f.limitPath(), port)
}

// present are the systems of a list that can run here.
func (f *fleet) present(keys []string) (some []string) {
	for _, key := range keys {
		if why := f.missing(key); why != "" {
			fmt.Fprintf(os.Stderr, "         %s, %s, is left out: %s\n", key, strings.SplitN(titles[key], ":", 2)[0], why)
			continue
		}
		some = append(some, key)
	}
	return some
}
