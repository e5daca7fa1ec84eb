package pm2

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func withNode(t *testing.T) *Loader {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node here")
	}
	l := loader(t)
	l.Node, l.Environ = node, append(l.Environ, "STAGE=test", "PATH="+os.Getenv("PATH"))
	return l
}

func TestNodeEvaluatesConfigurations(t *testing.T) {
	l := withNode(t)
	var printed bytes.Buffer
	l.Output, l.Argv = &printed, []string{"start", "x"}
	const common = `{
		apps: [{
			script: "worker.js", name: process.env.STAGE, out_file: require("path").join(__dirname, "o.log"),
			ignore_watch: [/\.tmp$/i], args: process.argv.slice(2), env: {CWD: process.cwd(), F: () => 1, BIG: 12n},
			hook() {}, instances: [1, 2].map(x => x * 2)[1],
		}],
	}`
	esm := strings.NewReplacer(`require("path")`, "path", "__dirname", "import.meta.dirname || import.meta.url.slice(7, -11)").Replace(common)
	write(t, l, "c.config.js", "console.log('noise'); setInterval(() => {}, 1000); module.exports = "+common)
	write(t, l, "c.config.cjs", "module.exports = "+common)
	write(t, l, "m.config.mjs", "import path from 'path'; export default "+esm)
	write(t, l, "n.config.mjs", "import path from 'path'; export const apps = "+esm+".apps")
	write(t, l, "t.config.cjs", "Object.defineProperty(exports, '__esModule', {value: true}); exports.default = "+common)
	for _, file := range []string{"c.config.js", "c.config.cjs", "m.config.mjs", "n.config.mjs", "t.config.cjs"} {
		r, err := l.File(context.Background(), file)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		a := r.Apps[0]
		if a.Name != "test" || filepath.Base(a.OutFile) != "o.log" || a.Instances != 4 || strings.Join(a.Args, " ") != "start x" ||
			a.Env["CWD"] != l.Dir || a.Env["BIG"] != "12" || !a.IgnoreWatch[0].Match("/", "/a.TMP") {
			t.Errorf("%s: %s", file, asJSON(t, a))
		}
		if _, ok := a.Env["F"]; ok {
			t.Errorf("%s: a function is in the environment", file)
		}
	}
	if printed.String() != "noise\n" {
		t.Errorf("printed %q", printed.String())
	}
}

// PM2 evaluates what it calls JSON, and files of its users rely on it.
func TestNodeEvaluatesJSONThatIsNone(t *testing.T) {
	l := withNode(t)
	const src = "\ufeff// apps\n{apps: [{script: 'worker.js', name: `a${1 + 1}`, ignore_watch: [/\\.tmp$/i], instances: 2 * 2,}],}"
	write(t, l, "eco.json", src)
	fromFile, err := l.File(t.Context(), "eco.json")
	if err != nil {
		t.Fatal(err)
	}
	fromInput, err := l.JSON(t.Context(), "standard input", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Result{fromFile, fromInput} {
		if a := r.Apps[0]; a.Name != "a2" || a.Instances != 4 || !a.IgnoreWatch[0].Match("/", "/a.TMP") {
			t.Error(asJSON(t, a))
		}
	}
	if _, err := l.JSON(t.Context(), "eco.json", []byte("{\n  apps: [}\n}")); err == nil || !strings.HasPrefix(err.Error(), "eco.json:2: ") {
		t.Errorf("%v", err)
	}
}

func TestNodeSaysWhereAConfigurationIsWrong(t *testing.T) {
	l := withNode(t)
	for name, c := range map[string]struct{ src, want string }{
		"a.config.js":  {"\n\nmodule.exports = {", "a.config.js:3: Unexpected end of input"},
		"b.config.js":  {"\nnone()", "b.config.js:2: none is not defined"},
		"c.config.js":  {"require('./nowhere')", "Cannot find module './nowhere'"},
		"d.config.js":  {"const o = {}; o.o = o; module.exports = o", "Converting circular structure to JSON"},
		"e.config.js":  {"process.exit(3)", "node gave no result (exit status 3)"},
		"f.config.js":  {"module.exports = () => ({})", "must be apps"},
		"g.config.js":  {"throw null", "null"},
		"h.config.mjs": {"export default undefined", "must be apps"},
		"i.config.js":  {"setTimeout(() => { throw new Error('late') }); module.exports = new Promise(() => {})", "late"},
	} {
		write(t, l, name, c.src)
		_, err := l.File(context.Background(), name)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestConfigurationWithoutEndIsGivenUp(t *testing.T) {
	l := withNode(t)
	read, write2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	write(t, l, "w.config.js", "require('fs').writeSync(1, 'x'); for (;;);")
	ctx, cancel := context.WithCancel(context.Background())
	l.Output = write2
	go func() { // it runs: now it is given up
		read.Read(make([]byte, 1))
		cancel()
	}()
	if _, err := l.File(ctx, "w.config.js"); err == nil || !strings.Contains(err.Error(), "hasn't evaluated it") {
		t.Errorf("%v", err)
	}
	write2.Close()
}

// A program that a configuration starts may keep its end of the pipe for ever.
func TestConfigurationThatLeavesAProgramBehind(t *testing.T) {
	l := withNode(t)
	write(t, l, "l.config.js", `
		const {spawn} = require("child_process");
		spawn("sleep", ["30"], {stdio: ["ignore", "ignore", "ignore", 3]}).unref();
		module.exports = {script: "worker.js"}`)
	if _, err := l.File(context.Background(), "l.config.js"); err != nil {
		t.Error(err)
	}
}
