package pm2

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// served has what an environment tells the server of a folder.
func served(env map[string]string) map[string]string {
	only := maps.Clone(env)
	maps.DeleteFunc(only, func(name, _ string) bool { return !strings.HasPrefix(name, "PM2_SERVE_") })
	return only
}

func TestStaticApps(t *testing.T) {
	l := loader(t)
	l.Program = "/opt/sidereal"
	a, notices := one(t, l, `{script: serve, args: [dist, 3000], env: {PM2_SERVE_SPA: true}, exec_mode: cluster, instances: 2}`)
	if !a.Static || a.Script != l.Program || a.Name != "serve" || a.Interpreter != "none" || a.ExecMode != Fork || a.Instances != 2 || a.SharePort || len(notices) != 0 {
		t.Errorf("%+v, %q", a, notices)
	}
	if env := served(a.Env); !maps.Equal(env, map[string]string{"PM2_SERVE_SPA": "true"}) {
		t.Errorf("%v", env)
	}
	r, err := l.literal("ecosystem.yaml", `{apps: [], static: [{path: dist, port: 3000, host: 127.0.0.1, spa: true, basic_auth: {username: ann, password: x}}, {name: docs, path: docs}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Apps) != 2 || r.Apps[0].Name != "static-page-server-3000" || r.Apps[1].Name != "docs" || !r.Apps[1].Static {
		t.Errorf("%+v", r.Apps)
	}
	if env := served(r.Apps[0].Env); !maps.Equal(env, map[string]string{"PM2_SERVE_PATH": "dist", "PM2_SERVE_PORT": "3000", "PM2_SERVE_HOST": "127.0.0.1", "PM2_SERVE_SPA": "true",
		"PM2_SERVE_BASIC_AUTH": "true", "PM2_SERVE_BASIC_AUTH_USERNAME": "ann", "PM2_SERVE_BASIC_AUTH_PASSWORD": "x"}) {
		t.Errorf("%v", env)
	}
	if _, err := l.literal("ecosystem.yaml", `{apps: [], static: [7]}`); err == nil || !strings.Contains(err.Error(), "static 1: must be an object") {
		t.Error(err)
	}
	r, err = l.Static(Site{Folder: l.Dir, Port: 80})
	if err != nil {
		t.Fatal(err)
	}
	if a := r.Apps[0]; !a.Static || a.Name != "static-page-server-80" || a.Cwd != l.Dir {
		t.Errorf("%+v", a)
	}
	if _, err := l.Script("serve", nil); err == nil || !strings.Contains(err.Error(), filepath.Join(l.Dir, "serve")+" doesn't exist") {
		t.Errorf("the command line has no such word: %v", err)
	}
}
