package pm2

import (
	"encoding/json"
	"errors"
	"testing"
)

// FuzzReaders holds that whatever a file says, it is read or refused with a reason, and that what
// is read has a form that reads as the same.
func FuzzReaders(f *testing.F) {
	for _, seed := range []string{
		`{"apps": [{"script": "worker.js", "env": {"A": 1}}]}`, "apps:\n- script: x\n  env: &e {A: 1}\n- <<: *e",
		"// a\n{\"b\": [1, /* c */ 2,],}", `"\ud83d\ude00\\"`, "[1,{\"a\":[1e999,-2.5e-3]}]", "\ufeff{\"a\": 1, \"a\": 2}", "/*",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		for name, read := range map[string]func(string, string) (value, error){
			"json": readJSON, "yaml": readYAML,
		} {
			v, err := read("f", src)
			if err != nil {
				var syntax *SyntaxError
				if !errors.As(err, &syntax) || syntax.Rule == "" {
					t.Errorf("%s: %v has no reason", name, err)
				}
				continue
			}
			out := shown(v)
			if !json.Valid([]byte(out)) {
				t.Errorf("%s: %s is not JSON", name, out)
			}
			again, err := readJSON("g", out)
			if err != nil || shown(again) != out {
				t.Errorf("%s: %s is read again as %v, %v", name, out, again, err)
			}
		}
	})
}

// FuzzApps holds that an app that passes is one that Validate takes, and travels as it is.
func FuzzApps(f *testing.F) {
	f.Add(`"name": "a", "instances": 2, "watch": "x", "ignore_watch": "*.log", "env": {"A": 1}, "cron": "@hourly"`)
	f.Add(`"min_uptime": "5s", "max_memory_restart": "1G", "stop_exit_codes": [1], "filter_env": true`)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, fields string) {
		l := &Loader{Dir: dir, Environ: []string{"PATH=/nowhere"}}
		r, err := l.JSON(t.Context(), "f", []byte(`{"script": "/bin/sh", `+fields+`}`))
		if err != nil {
			return
		}
		for _, a := range r.Apps {
			if err := a.Validate(); err != nil {
				t.Errorf("%v", err)
			}
			raw, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			var got App
			if err := json.Unmarshal(raw, &got); err != nil {
				t.Errorf("%s: %v", raw, err)
			}
		}
	})
}
