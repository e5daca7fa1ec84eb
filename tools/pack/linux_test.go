package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/blakesmith/ar"
	"github.com/cavaliergopher/cpio"
)

// entry is a file or folder of a package.
type entry struct {
	mode int64
	data string
}

// owned are the files of both packages: only the folder of documents differs.
var owned = map[string]int64{
	"/etc/sidereal": 0o755, "/etc/sidereal/sidereal.env": 0o640, "/usr/bin/sidereal": 0o755, "/usr/lib/systemd/system/sidereal.service": 0o644,
	"/usr/share/doc/sidereal/README.md": 0o644,
}

func checkFiles(t *testing.T, files map[string]entry) {
	t.Helper()
	for path, mode := range owned {
		f, ok := files[path]
		if !ok || f.mode&0o7777 != mode {
			t.Errorf("%s has mode %o (%v), want %o", path, f.mode, ok, mode)
		}
	}
	if files["/usr/bin/sidereal"].data != program {
		t.Error("/usr/bin/sidereal isn't the program")
	}
}

// TestDebian reads the package as dpkg does.
func TestDebian(t *testing.T) {
	r := packed(t, "linux/amd64")
	control, files := map[string]entry{}, map[string]entry{}
	archive := ar.NewReader(bytes.NewReader(r.read(t, "sidereal_1.2.3~rc.1-1_amd64.deb")))
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch strings.Trim(h.Name, "/") {
		case "control.tar.gz":
			entries(t, archive, control)
		case "data.tar.gz":
			entries(t, archive, files)
		}
	}
	checkFiles(t, files)
	if licence := files["/usr/share/doc/sidereal/copyright"].data; !strings.Contains(licence, "MIT License") {
		t.Errorf("the copyright file is %q", licence)
	}
	if got := control["/conffiles"].data; got != "/etc/sidereal/sidereal.env\n" {
		t.Errorf("conffiles: %q", got)
	}
	for _, line := range []string{"Package: sidereal", "Version: 1.2.3~rc.1-1", "Architecture: amd64", "Maintainer: The Sidereal authors"} {
		if !strings.Contains(control["/control"].data, line) {
			t.Errorf("no %q in:\n%s", line, control["/control"].data)
		}
	}
	for name, of := range map[string]string{"postinst": "postinstall.sh", "prerm": "preremove.sh", "postrm": "postremove.sh"} {
		want, err := linux.ReadFile("linux/" + of)
		if got := control["/"+name]; err != nil || got.data != string(want) || got.mode&0o111 == 0 {
			t.Errorf("%s: mode %o, %q (%v)", name, got.mode, got.data, err)
		}
	}
}

func entries(t *testing.T, zipped io.Reader, into map[string]entry) {
	t.Helper()
	eachFile(t, zipped, func(h *tar.Header, data []byte) {
		into["/"+strings.Trim(strings.TrimPrefix(h.Name, "."), "/")] = entry{h.Mode, string(data)}
	})
}

// The tags of RPM that the test looks at.
const (
	rpmName, rpmVersion, rpmArch       = 1000, 1001, 1022
	rpmPostIn, rpmPreUn, rpmPostUn     = 1024, 1025, 1026
	rpmFileFlags                       = 1037
	rpmDirIndexes, rpmBases, rpmFolder = 1116, 1117, 1118
	rpmConfigNoReplace                 = 1<<0 | 1<<4
)

// TestRPM reads the package as rpm does: a lead, two headers, and a cpio archive.
func TestRPM(t *testing.T) {
	r := packed(t, "linux/arm64")
	data := r.read(t, "sidereal-1.2.3~rc.1-1.aarch64.rpm")
	in := bytes.NewReader(data[96:]) // behind the lead
	rpmHeader(t, in)                 // signatures
	if _, err := in.Seek(int64(7-(in.Size()-int64(in.Len())+7)%8), io.SeekCurrent); err != nil {
		t.Fatal(err)
	}
	header := rpmHeader(t, in)
	for tag, want := range map[uint32]string{rpmName: "sidereal", rpmVersion: "1.2.3~rc.1", rpmArch: "aarch64"} {
		if got := header[tag].texts(1); got[0] != want {
			t.Errorf("tag %d: %q, want %q", tag, got, want)
		}
	}
	for tag, of := range map[uint32]string{rpmPostIn: "postinstall.sh", rpmPreUn: "preremove.sh", rpmPostUn: "postremove.sh"} {
		if want, err := linux.ReadFile("linux/" + of); err != nil || header[tag].texts(1)[0] != string(want) {
			t.Errorf("tag %d: %q (%v)", tag, header[tag].texts(1), err)
		}
	}
	bases := header[rpmBases].texts(header[rpmBases].count)
	folders, at := header[rpmFolder].texts(header[rpmFolder].count), header[rpmDirIndexes].numbers()
	for i, flags := range header[rpmFileFlags].numbers() {
		path := folders[at[i]] + bases[i]
		if got := flags&rpmConfigNoReplace == rpmConfigNoReplace; got != (path == "/etc/sidereal/sidereal.env") {
			t.Errorf("%s: settings that stay: %v", path, got)
		}
	}
	unzipped, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]entry{}
	for archive := cpio.NewReader(unzipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files["/"+strings.TrimLeft(h.Name, "./")] = entry{int64(h.Mode), string(body)}
	}
	checkFiles(t, files)
}

// tag is a value of an RPM header.
type tag struct {
	count int
	data  []byte // from its begin to the end of all values
}

func (v tag) texts(n int) []string {
	all := bytes.SplitN(v.data, []byte{0}, n+1)
	out := make([]string, n)
	for i := range min(n, len(all)) {
		out[i] = string(all[i])
	}
	return out
}

func (v tag) numbers() []uint32 {
	out := make([]uint32, v.count)
	for i := range out {
		out[i] = binary.BigEndian.Uint32(v.data[4*i:])
	}
	return out
}

func rpmHeader(t *testing.T, in *bytes.Reader) map[uint32]tag {
	t.Helper()
	var head struct {
		Magic, Reserved uint32
		Entries, Size   uint32
	}
	if err := binary.Read(in, binary.BigEndian, &head); err != nil || head.Magic != 0x8eade801 {
		t.Fatalf("not a header: %x (%v)", head.Magic, err)
	}
	index := make([]struct{ Tag, Type, Offset, Count uint32 }, head.Entries)
	data := make([]byte, head.Size)
	if err := errors.Join(binary.Read(in, binary.BigEndian, index), binary.Read(in, binary.BigEndian, data)); err != nil {
		t.Fatal(err)
	}
	out := map[uint32]tag{}
	for _, i := range index {
		out[i.Tag] = tag{int(i.Count), data[i.Offset:]}
	}
	return out
}

// TestScripts runs the scripts of the packages as dpkg and rpm do, each twice, with and without a
// systemd that runs. They only ask systemd for what is theirs to ask.
func TestScripts(t *testing.T) {
	sh := need(t, "sh")
	const reload, restart, disable = "daemon-reload", "--no-block try-restart sidereal.service", "--no-reload disable --now sidereal.service"
	for _, c := range []struct {
		script, args string
		want         []string // what systemctl is told
	}{
		{"postinstall.sh", "configure", []string{reload}},
		{"postinstall.sh", "configure 1.2.2-1", []string{reload, restart}},
		{"postinstall.sh", "abort-remove", []string{reload}},
		{"postinstall.sh", "1", []string{reload}},
		{"postinstall.sh", "2", []string{reload, restart}},
		{"postinstall.sh", "", []string{reload}},
		{"preremove.sh", "remove", []string{disable}},
		{"preremove.sh", "deconfigure in-favour x 1", []string{disable}},
		{"preremove.sh", "upgrade 1.2.4-1", nil},
		{"preremove.sh", "0", []string{disable}},
		{"preremove.sh", "1", nil},
		{"postremove.sh", "remove", []string{reload}},
		{"postremove.sh", "purge", []string{reload}},
		{"postremove.sh", "upgrade 1.2.4-1", nil},
		{"postremove.sh", "0", []string{reload}},
		{"postremove.sh", "1", nil},
	} {
		for _, running := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s %s, running %v", c.script, c.args, running), func(t *testing.T) {
				root := t.TempDir()
				log := filepath.Join(root, "told")
				stub := "#!/bin/sh\necho \"$@\" >>" + log + "\nexit 1\n" // whatever it is told fails, and nothing comes of that
				write(t, filepath.Join(root, "bin", "systemctl"), stub, 0o755)
				if running {
					write(t, filepath.Join(root, "run", "systemd", "system", "x"), "", 0o644)
				}
				link := filepath.Join(root, "etc", "systemd", "system", "multi-user.target.wants", "sidereal.service")
				write(t, link, "", 0o644)
				state := filepath.Join(root, "var", "lib", "private", "sidereal", "dump.json")
				write(t, state, "", 0o644)
				write(t, filepath.Join(root, "etc", "sidereal", "x"), "", 0o644)
				if err := os.Remove(filepath.Join(root, "etc", "sidereal", "x")); err != nil {
					t.Fatal(err)
				}
				var want []string
				for range 2 {
					cmd := exec.CommandContext(t.Context(), sh, append([]string{filepath.Join("linux", c.script)}, strings.Fields(c.args)...)...)
					cmd.Env = append(os.Environ(), "DPKG_ROOT="+root, "PATH="+filepath.Join(root, "bin")+":"+os.Getenv("PATH"))
					if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
						t.Fatalf("%v: %s", err, out)
					}
					if running {
						want = append(want, c.want...)
					}
				}
				told, err := os.ReadFile(log)
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				if got := strings.Split(strings.TrimSuffix(string(told), "\n"), "\n"); len(told) > 0 && !slices.Equal(got, want) || len(told) == 0 && len(want) > 0 {
					t.Errorf("systemctl was told %q, want %q", got, want)
				}
				purged := c.script == "postremove.sh" && c.args == "purge"
				for path, gone := range map[string]bool{
					link:  purged || c.script == "postremove.sh" && c.args == "0",
					state: purged, filepath.Join(root, "etc", "sidereal"): purged,
				} {
					if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) != gone {
						t.Errorf("%s: %v, gone: %v", path, err, gone)
					}
				}
			})
		}
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// TestUnit has systemd check the unit, where it is installed.
func TestUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze")
	}
	root := t.TempDir()
	unit, err := linux.ReadFile("linux/sidereal.service")
	if err != nil {
		t.Fatal(err)
	}
	// The program has to be there.
	write(t, filepath.Join(root, "sidereal.service"), strings.ReplaceAll(string(unit), "/usr/bin/sidereal", "/bin/true"), 0o644)
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", filepath.Join(root, "sidereal.service")).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
