package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	summary  = "Socket.IO on many processes and hosts"
	homepage = "https://github.com/sidereal-io/sidereal"
)

// release is one version for all platforms.
type release struct {
	version string // of semver, without a leading v
	date    time.Time
	root    string // of the repository
	out     string
	level   int // of gzip
}

// build is the program for one platform.
type build struct {
	os, arch string // as Go calls them
	path     string
}

func main() {
	r := release{}
	flag.StringVar(&r.version, "version", "", "version of all packages")
	flag.StringVar(&r.root, "root", "../..", "folder of the repository, for licence and README")
	flag.StringVar(&r.out, "out", "", "folder for the packages")
	flag.IntVar(&r.level, "level", 6, "level of compression, from 1 to 9")
	date := flag.String("date", "", "time of all files in the packages, in RFC 3339")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: pack -version V -out DIR [-date D] [-root DIR] [-level N] OS/ARCH=BINARY...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := r.run(*date, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func (r *release) run(date string, args []string) error {
	if r.version == "" || r.out == "" || len(args) == 0 {
		return errors.New("needs -version, -out and at least one OS/ARCH=BINARY")
	}
	r.date = time.Unix(0, 0).UTC()
	if date != "" {
		var err error
		if r.date, err = time.Parse(time.RFC3339, date); err != nil {
			return err
		}
	}
	builds, err := parseBuilds(args)
	if err != nil {
		return err
	}
	return r.pack(builds)
}

func parseBuilds(args []string) (all []build, err error) {
	for _, arg := range args {
		platform, path, ok := strings.Cut(arg, "=")
		system, arch, ok2 := strings.Cut(platform, "/")
		b := build{system, arch, path}
		if !ok || !ok2 || npmPlatforms[platform] == (npmPlatform{}) {
			return nil, fmt.Errorf("%s: want OS/ARCH=BINARY, with linux or darwin, and amd64 or arm64", arg)
		}
		all = append(all, b)
	}
	return all, nil
}

// pack makes all packages of these binaries. The main package of npm names all platforms, not only
// those of these binaries.
func (r *release) pack(builds []build) error {
	if err := os.MkdirAll(filepath.Join(r.out, "npm"), 0o755); err != nil {
		return err
	}
	if err := r.packLauncher(); err != nil {
		return err
	}
	for _, b := range builds {
		if err := r.packPlatform(b); err != nil {
			return fmt.Errorf("npm, %s/%s: %w", b.os, b.arch, err)
		}
		if b.os != "linux" {
			continue
		}
		for _, format := range []string{"deb", "rpm"} {
			if err := r.packLinux(format, b); err != nil {
				return fmt.Errorf("%s, %s: %w", format, b.arch, err)
			}
		}
	}
	return nil
}
