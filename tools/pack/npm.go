package main

import (
	"archive/tar"
	"compress/gzip"
	_ "embed" // the files of the main package
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var (
	//go:embed npm/sidereal.js
	launcher []byte
	//go:embed npm/README.md
	launcherReadme []byte
)

// npmPlatform is what npm calls a platform.
type npmPlatform struct{ os, cpu string }

var npmPlatforms = map[string]npmPlatform{
	"linux/amd64": {"linux", "x64"}, "linux/arm64": {"linux", "arm64"},
	"darwin/amd64": {"darwin", "x64"}, "darwin/arm64": {"darwin", "arm64"},
}

// name returns the name of the platform's package.
func (p npmPlatform) name() string { return "@sidereal-io/" + p.os + "-" + p.cpu }

// manifest is a package.json.
type manifest struct {
	Name                 string            `json:"name"`
	Version              string            `json:"version"`
	Description          string            `json:"description"`
	License              string            `json:"license"`
	Homepage             string            `json:"homepage"`
	Repository           string            `json:"repository"`
	Engines              map[string]string `json:"engines,omitempty"`
	Bin                  map[string]string `json:"bin,omitempty"`
	OptionalDependencies map[string]string `json:"optionalDependencies,omitempty"`
	OS                   []string          `json:"os,omitempty"`
	CPU                  []string          `json:"cpu,omitempty"`
	PreferUnplugged      bool              `json:"preferUnplugged,omitempty"` // Yarn runs no program inside an archive
}

func (r *release) manifest(name, description string) manifest {
	return manifest{
		Name: name, Version: r.version, Description: description, License: "MIT", Homepage: homepage, Repository: "github:sidereal-io/sidereal",
	}
}

// packLauncher makes the package that users install. Each platform's package is an optional
// dependency of the same version, and npm installs the one that fits.
func (r *release) packLauncher() error {
	m := r.manifest("sidereal", summary)
	m.Engines = map[string]string{"node": ">=14"}
	m.Bin = map[string]string{"sidereal": "bin/sidereal.js"}
	m.OptionalDependencies = map[string]string{}
	for _, p := range npmPlatforms {
		m.OptionalDependencies[p.name()] = r.version
	}
	return r.tarball("sidereal", m, file{"README.md", launcherReadme, 0o644}, file{"bin/sidereal.js", launcher, 0o755})
}

// packPlatform makes the package with the binary of a platform.
func (r *release) packPlatform(b build) error {
	p := npmPlatforms[b.os+"/"+b.arch]
	program, err := os.ReadFile(b.path)
	if err != nil {
		return err
	}
	m := r.manifest(p.name(), fmt.Sprintf("The binary of sidereal for %s, %s", p.os, p.cpu))
	m.OS, m.CPU, m.PreferUnplugged = []string{p.os}, []string{p.cpu}, true
	readme := fmt.Sprintf("# %s\n\nThe binary of [sidereal](%s) for %s, %s. Install `sidereal`, which needs it.\n", p.name(), homepage, p.os, p.cpu)
	return r.tarball("sidereal-io-"+p.os+"-"+p.cpu, m, file{"README.md", []byte(readme), 0o644}, file{"bin/sidereal", program, 0o755})
}

type file struct {
	name string
	data []byte
	mode int64
}

// tarball writes a package as `npm pack` names and lays it out.
func (r *release) tarball(name string, m manifest, files ...file) (err error) {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	licence, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return err
	}
	files = append([]file{{"package.json", append(text, '\n'), 0o644}, {"LICENSE", licence, 0o644}}, files...)
	out, err := os.Create(filepath.Join(r.out, "npm", name+"-"+r.version+".tgz"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	zipped, err := gzip.NewWriterLevel(out, r.level)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(zipped)
	for _, f := range files {
		h := &tar.Header{Name: "package/" + f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: r.date, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(h); err != nil {
			return err
		}
		if _, err := archive.Write(f.data); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), zipped.Close())
}
