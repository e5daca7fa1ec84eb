// Package buildinfo tells which version of a program runs, and from which commit it was built.
// scripts/build.sh has the linker write these down. Programs that were built otherwise, such as an
// app's, have what the Go command recorded.
package buildinfo

import (
	"cmp"
	"runtime/debug"
	"strings"
)

// The linker sets these in our own binary.
var version, commit, date string

// Info describes a build. A field is empty if nothing is known, except Version, which is then dev.
type Info struct {
	Version string // without a leading v, as package managers write it
	Commit  string // 12 digits of its hash, and -dirty if files were changed
	Date    string // of the commit, in RFC 3339
}

// Read returns what is known of this program's build.
func Read() Info {
	built, ok := debug.ReadBuildInfo()
	if !ok {
		built = &debug.BuildInfo{}
	}
	return read(Info{version, commit, date}, built)
}

// read fills what the linker left empty.
func read(linked Info, built *debug.BuildInfo) Info {
	recorded := Info{Version: strings.TrimPrefix(built.Main.Version, "v")}
	if recorded.Version == "(devel)" {
		recorded.Version = ""
	}
	for _, s := range built.Settings {
		switch s.Key {
		case "vcs.revision":
			recorded.Commit = s.Value[:min(12, len(s.Value))] + recorded.Commit
		case "vcs.modified":
			if s.Value == "true" {
				recorded.Commit += "-dirty"
			}
		case "vcs.time":
			recorded.Date = s.Value
		}
	}
	if linked.Version != "" || linked.Commit != "" {
		return Info{cmp.Or(linked.Version, "dev"), linked.Commit, linked.Date}
	}
	recorded.Version = cmp.Or(recorded.Version, "dev")
	return recorded
}

// String returns the version, and in parentheses the commit and the date, where they are known.
func (i Info) String() string {
	switch {
	case i.Commit == "":
		return i.Version
	case i.Date == "":
		return i.Version + " (commit " + i.Commit + ")"
	}
	return i.Version + " (commit " + i.Commit + ", " + i.Date + ")"
}
