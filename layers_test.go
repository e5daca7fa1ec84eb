package sidereal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/sidereal-io/sidereal/"
	root   = "." // how the table names the package at the module's root
)

// layers says which packages of ours each package may import. A key covers the packages below it too, unless they have
// a row of their own. A package without a row fails the test: give it a place first.
var layers = map[string][]string{
	root:                    {"internal/redisconn"},
	"router":                {"directory", "internal/netio", "internal/admin", "internal/bufpool", "internal/sessioncount", "engineio/packet"},
	"directory":             {root, "internal/redisconn", "internal/netio", "internal/sessioncount"},
	"worker":                {root, "socketio", "engineio", "adapter", "directory", "internal/netio", "internal/admin", "internal/redisconn", "internal/config", "internal/lifeline", "internal/adapterenv", "internal/bufpool", "internal/buildinfo", "internal/inspect", "internal/flight"},
	"engineio":              {"internal/eventloop", "internal/notice", "internal/wheel", "internal/bufpool", "internal/netio"},
	"socketio":              {"engineio", "internal/flight", "internal/notice", "internal/netio", "internal/eventloop", "internal/handler", "internal/wheel", "internal/bufpool", "internal/number", "internal/msgpack"},
	"socketio/cluster":      {"socketio/packet"},
	"socketio/adminui":      {root, "socketio", "engineio", "internal/notice"},
	"socketio/otelsocketio": {"socketio", "engineio"},
	"socketio/socketiotest": {root, "socketio", "client", "adapter"},
	"socketio/adaptertest":  {"socketio", "internal/testkit"},
	"adapter":               {root, "socketio/cluster", "socketio/packet", "internal/redisconn", "internal/number", "internal/msgpack"},
	"adapter/emitter":       {"socketio/packet", "adapter/internal/wire", "adapter/internal/joined", "internal/config", "internal/redisconn"},
	"client":                {"engineio/packet", "socketio/packet", "internal/handler", "internal/netio", "internal/bufpool"},
	"internal/demo":         {"socketio", "worker"},
	"examples":              {"socketio", "worker", "client", "adapter/emitter"},
	"cmd/sidereal":          {"*"},
	"e2e":                   {"*"},
	"internal/admin":        {}, "internal/bufpool": {}, "internal/buildinfo": {}, "internal/eventloop": {}, "internal/handler": {"socketio/packet"}, "internal/config": {"directory", "internal/apikey", "internal/redisconn", "internal/loghandler"}, "internal/loghandler": {}, "internal/netio/handoff": {"internal/netio"}, "internal/netio/http1": {}, "internal/netio/relay": {"internal/netio", "internal/bufpool"},
	"internal/bench": {"client", "socketio/packet"}, "internal/lifeline": {"internal/netio"}, "internal/netio": {"internal/bufpool"}, "internal/pm2": {}, "internal/systemd": {},
	"internal/processview": {"internal/daemon", "internal/pm2", "internal/inspect"},
	"internal/host": {"internal/supervisor", "internal/node", "internal/lifeline", "internal/config", "internal/cluster", "internal/sockets", "internal/adapterenv", "internal/redisconn",
		"internal/admin", "internal/systemd", "internal/inspect", "internal/dashboard", "internal/rebalance", "adapter/emitter", "socketio/packet", "directory"},
	"internal/service": {"internal/supervisor", "internal/node", "internal/lifeline", "internal/config", "internal/cluster", "internal/sockets", "internal/adapterenv", "internal/redisconn", "internal/redisserver",
		"internal/admin", "internal/systemd", "internal/netio", "internal/rebalance", "internal/apikey", "internal/httpapi", "internal/inspect", "directory", "adapter", "router"},
	"internal/apikey":    {},
	"internal/inspect":   {"internal/redisconn"},
	"internal/dashboard": {"internal/inspect"},
	"internal/flight":    {"internal/eventloop"},
	"internal/why":       {"internal/inspect"},
	"internal/httpapi":   {"adapter", "socketio/cluster", "socketio/packet", "internal/admin", "internal/apikey", "internal/redisconn"},
	"internal/plug":      {"client", "internal/lifeline", "internal/supervisor"},
	"internal/rebalance": {"directory"}, "internal/fileserver": {}, "internal/terminal": {},
	"internal/cluster":  {"internal/config", "internal/redisconn", "internal/admin", "directory"},
	"internal/sockets":  {"internal/config", "internal/admin", "internal/supervisor", "internal/systemd"},
	"internal/safefile": {}, "internal/logfile": {"internal/safefile"}, "internal/pidfile": {"internal/safefile"},
	"internal/daemon":     {"internal/logfile", "internal/safefile", "internal/pidfile", "internal/host", "internal/cluster", "internal/sockets", "internal/supervisor", "internal/lifeline", "internal/pm2", "internal/config", "internal/admin", "internal/inspect", "internal/dashboard", "internal/loghandler"},
	"internal/node":       {"directory", "adapter", "socketio/cluster", "socketio/packet", "engineio/packet", "internal/netio", "internal/redisconn", "internal/lifeline", "internal/supervisor", "internal/number", "internal/sessioncount"},
	"internal/adapterenv": {"adapter", "directory", "internal/config", "internal/redisconn"},
	"internal/redisconn":  {"internal/netio"}, "internal/redisserver": {}, "internal/proctree": {}, "internal/supervisor": {"internal/lifeline", "internal/loghandler", "internal/proctree"}, "internal/wheel": {}, "internal/guardian": {"internal/proctree"}, "internal/notice": {}, "internal/sessioncount": {}, "internal/testkit": {}, "internal/number": {}, "internal/msgpack": {"internal/number"},

	// Packages for tests.
	"adapter/internal/linktest": {"socketio/cluster", "socketio/packet", "adapter/internal/wire", "internal/redisconn", "internal/testkit"},
}

// TestLayers holds the package table: who may know whom, and nobody knows more.
func TestLayers(t *testing.T) {
	for _, p := range list(t) {
		row, ok := rowOf(p.path)
		if !ok {
			t.Errorf("%s has no row in the layer table", p.path)
			continue
		}
		for _, used := range p.imports {
			if !allowed(row, used) {
				t.Errorf("%s imports %s, which its row %q does not allow", p.path, used, row)
			}
		}
	}
}

// TestAppsCompileNoRedisServer: a worker connects to a Redis, and only the command embeds one.
func TestAppsCompileNoRedisServer(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./examples/chat", "./socketio/socketiotest", "./adapter/emitter").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for path := range strings.Lines(string(out)) {
		if strings.Contains(path, "miniredis") || strings.Contains(path, "lua") || strings.Contains(path, "internal/redisserver") {
			t.Errorf("an app compiles %s", strings.TrimSpace(path))
		}
	}
}

// TestAppsCompileNoTracing: only a program that imports otelsocketio compiles OpenTelemetry, and of it
// only the API. The SDK and the exporters are its own choice.
func TestAppsCompileNoTracing(t *testing.T) {
	for _, c := range []struct {
		packages []string
		none     string
	}{
		{[]string{"./examples/...", "./cmd/sidereal", "./client", "./adapter/emitter", "./router", "./socketio/socketiotest"}, "go.opentelemetry.io/"},
		{[]string{"./socketio/otelsocketio"}, "go.opentelemetry.io/otel/sdk"},
		{[]string{"./socketio/otelsocketio"}, "google.golang.org/grpc"},
	} {
		out, err := exec.Command("go", append([]string{"list", "-deps"}, c.packages...)...).Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for path := range strings.Lines(string(out)) {
			if strings.HasPrefix(path, c.none) {
				t.Errorf("%v compile %s", c.packages, strings.TrimSpace(path))
			}
		}
	}
}

func allowed(row, used string) bool {
	for _, a := range append(layers[row], row) {
		if a == "*" || used == a || strings.HasPrefix(used, a+"/") {
			return true
		}
	}
	return false
}

// rowOf finds the longest row that covers a package.
func rowOf(path string) (row string, ok bool) {
	for r := range layers {
		if (path == r || strings.HasPrefix(path, r+"/")) && len(r) > len(row) {
			row, ok = r, true
		}
	}
	return row, ok
}

type pkg struct {
	path    string
	imports []string
}

// list returns every package of the module with the packages of ours that its non-test files import.
func list(t *testing.T) (out []pkg) {
	raw, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(raw))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		path, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			path = root
		}
		var used []string
		for _, i := range p.Imports {
			if i+"/" == module {
				used = append(used, root)
			} else if name, ours := strings.CutPrefix(i, module); ours {
				used = append(used, name)
			}
		}
		slices.Sort(used)
		out = append(out, pkg{path, used})
	}
	if len(out) == 0 {
		t.Fatal("go list found no package of ours")
	}
	return out
}
