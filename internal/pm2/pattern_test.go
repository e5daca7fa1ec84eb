package pm2

import "testing"

func TestPatternMatchesPathsBelow(t *testing.T) {
	for _, c := range []struct {
		glob, path string
		want       bool
	}{
		{"logs", "/srv/logs", true}, {"logs", "/srv/logs/a/b", true}, {"logs", "/srv/logs2", false}, {"./logs/", "/srv/logs/a", true},
		{"*.log", "/srv/a.log", true}, {"*.log", "/srv/d/a.log", false}, {"**/*.log", "/srv/d/e/a.log", true},
		{"**/*.log", "/srv/a.log", true}, {"a/**/b", "/srv/a/b", true}, {"a/**", "/srv/a/x/y", true},
		{"?.js", "/srv/a.js", true}, {"?.js", "/srv/ab.js", false}, {"[ab].js", "/srv/b.js", true}, {"[!ab].js", "/srv/b.js", false},
		{"*.{js,ts}", "/srv/x.ts", true}, {"*.{js,ts}", "/srv/x.go", false}, {"/tmp/x", "/tmp/x/y", true}, {"a+b", "/srv/a+b", true},
		{"[", "/srv/[", true}, {"..", "/", true},
	} {
		p, err := Glob(c.glob)
		if err != nil {
			t.Errorf("%s: %v", c.glob, err)
			continue
		}
		if got := p.Match("/srv", c.path); got != c.want {
			t.Errorf("%s matches %s: %v, want %v", c.glob, c.path, got, c.want)
		}
	}
}

func TestPatternTakesJavaScriptExpressions(t *testing.T) {
	p, err := Expression(`\/Public\/|\.LOG$`, "gi")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"/srv/public/x": true, "/srv/a.log": true, "/srv/public": false} {
		if got := p.Match("/srv", path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if _, err := Expression(`(?<=a)b`, ""); err == nil {
		t.Error("an expression that Go does not have is taken")
	}
}

func TestDefaultIgnoresDotfilesAndModules(t *testing.T) {
	ignored := Default().IgnoreWatch[0]
	for path, want := range map[string]bool{"/srv/.git/x": true, "/srv/node_modules/a.js": true, "/srv/api.js": false} {
		if got := ignored.Match("/srv", path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestUnusableGlob(t *testing.T) {
	for _, glob := range []string{"[b-a]", "{a"} {
		if _, err := Glob(glob); err == nil {
			t.Errorf("%s is taken", glob)
		}
	}
	if (Pattern{}).Match("/", "/a") {
		t.Error("nothing matches")
	}
}
