package buildinfo

import (
	"runtime/debug"
	"testing"
)

func TestRead(t *testing.T) {
	recorded := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	vcs := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"},
		{Key: "vcs.time", Value: "2026-11-20T08:00:00Z"}, {Key: "vcs.modified", Value: "true"},
	}
	const date = "2026-11-21T10:36:02Z"
	for name, c := range map[string]struct {
		linked Info
		built  *debug.BuildInfo
		want   string
	}{
		"by scripts/build.sh":      {Info{"1.2.3", "e2e0153d1f2a", date}, recorded("(devel)", vcs...), "1.2.3 (commit e2e0153d1f2a, " + date + ")"},
		"without a checkout":       {Info{"1.2.3", "", ""}, recorded("(devel)"), "1.2.3"},
		"by go install":            {Info{}, recorded("v1.2.3"), "1.2.3"},
		"by go build":              {Info{}, recorded("v1.2.4-0.20261120080000-0123456789ab", vcs...), "1.2.4-0.20261120080000-0123456789ab (commit 0123456789ab-dirty, 2026-11-20T08:00:00Z)"},
		"by an old go build":       {Info{}, recorded("(devel)", vcs[:2]...), "dev (commit 0123456789ab, 2026-11-20T08:00:00Z)"},
		"by go run":                {Info{}, recorded("(devel)"), "dev"},
		"without any build info":   {Info{}, &debug.BuildInfo{}, "dev"},
		"a commit without a date":  {Info{}, recorded("", vcs[0]), "dev (commit 0123456789ab)"},
		"a commit and no version":  {Info{"", "e2e0153d1f2a", date}, recorded(""), "dev (commit e2e0153d1f2a, " + date + ")"},
		"a short foreign revision": {Info{}, recorded("", debug.BuildSetting{Key: "vcs.revision", Value: "42"}), "dev (commit 42)"},
	} {
		if got := read(c.linked, c.built).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
