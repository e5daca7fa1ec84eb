package processview

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/sidereal-io/sidereal/internal/pm2"
)

const (
	noVersion   = "N/A"
	maxManifest = 1 << 20 // bytes of a package.json
)

// version returns the version in the package.json beside an app's script, or above it. The script
// may be a folder.
func version(a *pm2.App) string {
	for dir := a.Script; ; dir = filepath.Dir(dir) {
		if v, found := manifest(filepath.Join(dir, "package.json")); found {
			return v
		}
		if dir == filepath.Dir(dir) {
			return noVersion
		}
	}
}

func manifest(path string) (version string, found bool) {
	f, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer f.Close()
	var m struct {
		Version string `json:"version"`
	}
	if err := json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&m); err != nil || m.Version == "" {
		return noVersion, true
	}
	return m.Version, true
}
