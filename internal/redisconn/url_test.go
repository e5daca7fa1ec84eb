package redisconn

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	tests := []struct {
		url  string
		want target
	}{
		{"redis://localhost", target{form: single, addrs: []string{"localhost:6379"}}},
		{"redis://localhost:6380/3", target{form: single, addrs: []string{"localhost:6380"}, db: 3}},
		{"rediss://h/", target{form: single, tls: true, addrs: []string{"h:6379"}}},
		{"REDIS://h", target{form: single, addrs: []string{"h:6379"}}},
		{"redis://[::1]:7000", target{form: single, addrs: []string{"[::1]:7000"}}},
		{"redis://[fe80::1]", target{form: single, addrs: []string{"[fe80::1]:6379"}}},
		{"redis://:p%40ss%2F@h", target{form: single, addrs: []string{"h:6379"}, password: "p@ss/"}},
		{"redis://user:a:b/c@h", target{form: single, addrs: []string{"h:6379"}, username: "user", password: "a:b/c"}},
		{"redis+sentinel://a,b:7000,c/main/2", target{form: sentinel, addrs: []string{"a:26379", "b:7000", "c:26379"}, master: "main", db: 2}},
		{"rediss+sentinel://u:p@a/main?sentinel_username=su&sentinel_password=s%26p", target{
			form: sentinel, tls: true, addrs: []string{"a:26379"}, username: "u", password: "p",
			master: "main", sentinelUsername: "su", sentinelPassword: "s&p",
		}},
		{"redis+cluster://a:1,b:2,c:3/0", target{form: cluster, addrs: []string{"a:1", "b:2", "c:3"}}},
		{"rediss+cluster://a", target{form: cluster, tls: true, addrs: []string{"a:6379"}}},
	}
	for _, tt := range tests {
		got, err := parseURL(tt.url)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("parseURL(%q)\n got %+v, %v\nwant %+v", tt.url, got, err, tt.want)
		}
	}
}

func TestOpenNamesFieldValueAndRule(t *testing.T) {
	tests := []struct{ url, shown, rule string }{
		{"", "", "redis://host:6379"},
		{"localhost:6379", "localhost:6379", "redis://host:6379"},
		{"http://h", "http://h", "scheme"},
		{"redis+single://h", "redis+single://h", "scheme"},
		{"redis+redis://h", "redis+redis://h", "scheme"},
		{"redis://", "redis://", "host name"},
		{"redis://:secret@", "redis://:***@", "host name"},
		{"redis://u:secret@h:0", "redis://u:***@h:0", "1 to 65535"},
		{"redis://u:secret@h:70000/1", "redis://u:***@h:70000/1", "1 to 65535"},
		{"redis://u:sec%zzret@h", "redis://u:***@h", "percent-encoded"},
		{"redis://::1:6379", "redis://::1:6379", "brackets"},
		{"redis://a,b", "redis://a,b", "redis+sentinel"},
		{"redis://h/x", "redis://h/x", "number"},
		{"redis://h/-1", "redis://h/-1", "number"},
		{"redis+cluster://h/1", "redis+cluster://h/1", "database 0"},
		{"redis+sentinel://h", "redis+sentinel://h", "name the master"},
		{"redis://h?timeout=1s", "redis://h?***", "sentinel_username"},
		{"redis://u:secret?x@h", "redis://***", "port"},
	}
	for _, tt := range tests {
		_, err := Open(Config{URL: tt.url})
		var problem *ConfigError
		if !errors.As(err, &problem) {
			t.Errorf("Open(%q): got %v, want a ConfigError", tt.url, err)
			continue
		}
		if problem.Field != "URL" || problem.Value != tt.shown || !strings.Contains(problem.Rule, tt.rule) {
			t.Errorf("Open(%q): got %+v, want value %q, rule with %q", tt.url, problem, tt.shown, tt.rule)
		}
		if text := err.Error(); strings.Contains(text, "secret") || strings.Contains(text, "zzret") {
			t.Errorf("the password shows: %s", text)
		}
	}
}

func TestRedactHidesEveryPassword(t *testing.T) {
	for _, raw := range []string{
		"redis://:hunter2@h", "redis://u:hunter2@h/1", "redis+sentinel://a,b/m?sentinel_password=hunter2",
		"redis://u:hunter2?x@h", "hunter2@h:6379", "redis://u:x@hunter2@h", "rediss+cluster://u:hunter2/4@a,b",
	} {
		if got := Redact(raw); strings.Contains(got, "hunter2") {
			t.Errorf("Redact(%q) = %q", raw, got)
		}
	}
}

func TestFilesNeedTLS(t *testing.T) {
	tests := []struct {
		cfg   Config
		field string
	}{
		{Config{URL: "redis://h", CAFile: "ca.pem"}, "URL"},
		{Config{URL: "rediss://h", CAFile: "/does/not/exist"}, "CAFile"},
		{Config{URL: "rediss://h", CertFile: "cert.pem"}, "CertFile"},
		{Config{URL: "rediss://h", CertFile: "/no", KeyFile: "/no"}, "CertFile"},
	}
	for _, tt := range tests {
		_, err := Open(tt.cfg)
		var problem *ConfigError
		if !errors.As(err, &problem) || problem.Field != tt.field {
			t.Errorf("%+v: got %v, want a problem of %s", tt.cfg, err, tt.field)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"redis://u:p@h:1/2", "redis+sentinel://a,[::1]:2/m/3?sentinel_password=x", "redis+cluster://a,b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseURL(raw)
		if err == nil && (len(got.addrs) == 0 || got.form == single && len(got.addrs) != 1) {
			t.Errorf("%q: %+v", raw, got)
		}
	})
}
