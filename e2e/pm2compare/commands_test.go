//go:build e2e && linux

package pm2compare

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// line is a command line of deploy scripts.
type line struct {
	args   string // split at blanks; "two words" stay together
	file   string // ecosystem.config.js has this text from now on
	output string // both print what this expression matches
	row    string // of docs/from-pm2.md, if one fails and the other doesn't, or if they do something else
}

// sessions are command lines in the order of a deployment. Each session begins with an empty list.
var sessions = map[string][]line{
	"nothing runs": {
		{args: "jlist", output: `^\[\]\s*$`},
		{args: "stop all"},
		{args: "delete all"},
		{args: "restart all"},
		{args: "reload all"},
		{args: "describe api"},
		{args: "restart api"},
		{args: "stop api"},
		{args: "delete api"},
		{args: "pid api"},
		{args: "id api", output: `\[\]`},
		{args: "flush"},
		{args: "flush api"},
		{args: "logs api --lines 5 --nostream"},
		{args: "save"},
		{args: "save --force"},
		{args: "save extra"},
		{args: "resurrect"},
		{args: "ping"},
		{args: "ping extra"},
		{args: "start nosuch.js"},
		{args: "start"},
		{args: "restart ecosystem.config.js"},
		{args: "startOrReload ecosystem.config.js"},
	},
	"scripts": {
		{args: "start report.js --name api"},
		{args: "start report.js --name api"},
		{args: "start report.js --name api -f"},
		{args: "describe api", output: "api"},
		{args: "pid api", output: `^\d+\s*\d+\s*$`},
		{args: "id api", output: `\[ \d+, \d+ \]`},
		{args: "start report.js"},
		{args: "start api"},
		{args: "restart api --update-env"},
		{args: "restart api nosuch"},
		{args: "reload api --update-env"},
		{args: "restart api report"},
		{args: "stop api"},
		{args: "stop api"},
		{args: "restart /ap.*/"},
		{args: "restart 0"},
		{args: "restart all --update-env"},
		{args: "reload all"},
		{args: "reset all"},
		{args: "env 0", output: "FROM_SHELL"},
		{args: "sendSignal SIGCONT api"},
		{args: "sendSignal SIGCONT all"},
		{args: "restart report --name renamed"},
		{args: "restart renamed -- new args"},
		{args: "start report.js --name watched --watch package.json"},
		{args: "stop watched --watch"},
		{args: "save"},
		{args: "delete api nosuch"},
		{args: "delete all"},
		{args: "resurrect"},
		{args: "delete /.*/"},
	},
	"options": {
		{args: `start npm --name web -- run serve -- -p 3000`},
		{args: `start "node report.js a b" --name text`},
		{args: `start "npm run serve"`},
		{args: "start report.py --interpreter python3 --name py --cwd ."},
		{args: "start report.sh --no-autorestart --time"},
		{args: "start report.js -i 2 --name two --namespace back"},
		{args: "start report.js --name cron --cron '0 3 * * *' --max-memory-restart 300M --restart-delay 3000 --max-restarts 5 --exp-backoff-restart-delay 100"},
		{args: "start report.js --name flags --node-args=--no-warnings --kill-timeout 3000 --merge-logs -o out.log -e err.log --log-date-format YYYY -- --port 3000"},
		{args: "start report.js --name none --nosuchflag"},
		{args: "scale two 3"},
		{args: "scale two +1"},
		{args: "stop back"},
		{args: "restart back"},
		{args: "logs two --nostream --lines 1", output: "hello"},
		{args: "logs --nostream --lines 1 --raw", output: "hello"},
		{args: "delete back"},
		{args: "-s restart web"},
		{args: "restart web -s"},
		{args: "stop web text"},
		{args: "delete web text"},
		{args: "flush"},
		{args: "flush py"},
		{args: "start report.js nosuch.js", row: "| `start` |"},
	},
	"files": {
		{args: "start ecosystem.config.js --env production", file: twoApps},
		{args: "start ecosystem.config.js"},
		{args: "restart ecosystem.config.js --env production --update-env"},
		{args: "reload ecosystem.config.js --env production --update-env"},
		{args: "startOrRestart ecosystem.config.js --only one"},
		{args: "startOrReload ecosystem.config.js --update-env"},
		{args: "startOrGracefulReload ecosystem.config.js"},
		{args: "restart ecosystem.config.js --only two"},
		{args: "reload ecosystem.config.js --only nosuch", row: exitRow},
		{args: "start ecosystem.config.js --only nosuch", row: exitRow},
		{args: "stop ecosystem.config.js"},
		{args: "start ecosystem.config.js --only two --env production"},
		{args: "delete ecosystem.config.js"},
		{args: "delete ecosystem.config.js"},
		{args: "stop ecosystem.config.js"},
		{args: "startOrReload ecosystem.config.js --only two"},
		{args: "reload ecosystem.config.js"},
		{args: "start ecosystem.config.js", file: `module.exports = { apps: [{ name: "three", script: "nosuch.js" }, { name: "two", script: "report.js", args: "b", exec_mode: "cluster", instances: 2, env: { STAGE: "none" } }] };`},
		{args: "start ecosystem.config.js", file: "module.exports = { apps: [{"},
		{args: "stop all"},
		{args: "delete all"},
		{args: "start ecosystem.config.js", file: twoApps},
		{args: "start ecosystem.config.js", file: `module.exports = { apps: [{ name: "two", script: "report.js", exec_mode: "cluster", instances: 1 }] };`, row: "| a changed file |"},
		{args: "ecosystem", row: initRow},
		{args: "init simple", row: initRow},
	},
}

const (
	exitRow = "| exit codes |"
	initRow = "| `ecosystem`, `init` |"
)

const twoApps = `module.exports = { apps: [
  { name: "one", script: "report.js", args: "a", env: { STAGE: "none" }, env_production: { STAGE: "production" } },
  { name: "two", script: "report.js", exec_mode: "cluster", instances: 2, env: { STAGE: "none" }, env_production: { STAGE: "production" } },
] };
`

var word = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)

// words splits a command line.
func (l line) words() (words []string) {
	for _, w := range word.FindAllString(l.args, -1) {
		words = append(words, strings.Trim(w, `"'`))
	}
	return words
}

// TestCommandLines runs command lines of deploy scripts, and compares whether they fail, and what runs
// then.
func TestCommandLines(t *testing.T) {
	for name, lines := range sessions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pm2, sidereal := startPM2(t), startSidereal(t)
			stages := []*stage{set(t, pm2, "npm-run", nil), set(t, sidereal, "npm-run", nil)}
			for _, s := range stages {
				if err := os.Remove(s.dir + "/ecosystem.config.js"); err != nil {
					t.Fatal(err)
				}
			}
			for _, l := range lines {
				var seen [2]string
				for i, s := range stages {
					seen[i] = s.effect(t, l)
				}
				switch {
				case seen[0] == seen[1] && l.row != "":
					t.Errorf("%s doesn't differ any more: %s", l.args, seen[0])
				case seen[0] != seen[1] && l.row == "":
					t.Errorf("%s:\n%s\nwith PM2,\n%s\nwith Sidereal", l.args, seen[0], seen[1])
				}
			}
		})
	}
}

// effect runs a command line, and returns whether it failed, and what then runs.
func (s *stage) effect(t *testing.T, l line) string {
	t.Helper()
	if l.file != "" {
		if err := os.WriteFile(s.dir+"/ecosystem.config.js", []byte(l.file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, code := s.m.run(t, s.dir, s.env, l.words()...)
	if l.output != "" && !regexp.MustCompile(l.output).MatchString(out) {
		t.Errorf("%s: %s prints %q", l.args, s.m.name, out)
	}
	if testing.Verbose() && os.Getenv("PM2COMPARE_OUTPUT") != "" {
		t.Logf("%s %s: %d\n%s", s.m.name, l.args, code, out)
	}
	if strings.HasPrefix(l.args, "flush") {
		s.quiet = true // from now on
	}
	list := s.rest(t, l.args+": "+out, nil)
	lines := []string{"done"}
	if code != 0 {
		lines[0] = "failed"
	}
	for i := range list {
		r := &list[i]
		args := fmt.Sprint(r.Env["args"])
		if args == "[]" {
			args = "<nil>"
		}
		lines = append(lines, fmt.Sprintf("%s %s, %d restarts, %v, args %v, %v, watched: %v", r.Name, r.status(), r.number("restart_time"), r.Env["namespace"], args, r.Env["STAGE"], r.Env["watch"] != nil && r.Env["watch"] != false))
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}
