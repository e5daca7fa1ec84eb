package main

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers the format
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers the format
)

//go:embed linux
var linux embed.FS

// packLinux makes a Debian or an RPM package. It brings the service and its settings, and enables
// nothing. The service has a dynamic user, so the package makes none.
func (r *release) packLinux(format string, b build) (err error) {
	dir, err := os.MkdirTemp("", "pack") // nfpm reads from paths
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.CopyFS(dir, linux); err != nil {
		return err
	}
	own := func(name string) string { return filepath.Join(dir, "linux", name) }
	compression := fmt.Sprintf("gzip:%d", r.level)
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "sidereal", Version: r.version, VersionSchema: "semver", Release: "1", Arch: b.arch, Platform: "linux", Section: "net",
		Priority: "optional", Maintainer: "The Sidereal authors <maintainers@sidereal-io.invalid>", Vendor: "The Sidereal authors",
		Homepage: homepage, License: "MIT", MTime: r.date,
		Description: summary + "\nSidereal runs a Socket.IO app, in Node.js or Go, on all cores and all hosts.\nNo load balancer has to be sticky.",
		Overridables: nfpm.Overridables{
			Contents: r.contents(own, b.path),
			Scripts: nfpm.Scripts{
				PostInstall: own("postinstall.sh"), PreRemove: own("preremove.sh"), PostRemove: own("postremove.sh"),
			},
			Deb: nfpm.Deb{Compression: compression},
			RPM: nfpm.RPM{BuildHost: "localhost", Compression: compression, Summary: summary, Group: "System Environment/Daemons"},
		},
	})
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return err
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(r.out, packager.ConventionalFileName(info)))
	if err != nil {
		return err
	}
	return cmp.Or(packager.Package(info, out), out.Close())
}

// contents lists the files of the package.
func (r *release) contents(own func(string) string, program string) files.Contents {
	at := func(mode os.FileMode) *files.ContentFileInfo {
		return &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: r.date}
	}
	doc := func(format, kind, from, name string) *files.Content {
		return &files.Content{Source: from, Destination: fmt.Sprintf("/usr/share/doc/sidereal/%s", name), Type: kind, Packager: format, FileInfo: at(0o644)}
	}
	licence, readme := filepath.Join(r.root, "LICENSE"), filepath.Join(r.root, "README.md")
	return files.Contents{
		{Source: program, Destination: "/usr/bin/sidereal", FileInfo: at(0o755)},
		{Destination: "/etc/sidereal", Type: files.TypeDir, FileInfo: at(0o755)},
		// Secrets may be in it, and systemd reads it as root.
		{Source: own("sidereal.env"), Destination: "/etc/sidereal/sidereal.env", Type: files.TypeConfigNoReplace, FileInfo: at(0o640)},
		{Source: own("sidereal.service"), Destination: "/usr/lib/systemd/system/sidereal.service", FileInfo: at(0o644)},
		doc("deb", files.TypeFile, licence, "copyright"),
		doc("rpm", files.TypeRPMLicense, licence, "LICENSE"),
		doc("", files.TypeFile, readme, "README.md"),
	}
}
