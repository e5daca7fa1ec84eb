package systemd

import (
	"fmt"
	"strings"
	"time"
)

// BootTarget is the unit that starts the services of a booted machine.
const BootTarget = "multi-user.target"

// Unit is a service that starts a program at boot and keeps it running in the foreground.
type Unit struct {
	Description string
	User        string   // that it runs as; empty: root
	Command     []string // absolute path and arguments
	Env         []string // variables, as NAME=value
	StopTimeout time.Duration
}

// Text returns the unit's file.
func (u Unit) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[Unit]\nDescription=%s\nWants=network-online.target\nAfter=network-online.target\n\n[Service]\nType=exec\n", escape(u.Description))
	if u.User != "" {
		fmt.Fprintf(&b, "User=%s\n", u.User)
	}
	for _, kv := range u.Env {
		fmt.Fprintf(&b, "Environment=%s\n", quote(kv))
	}
	words := make([]string, len(u.Command))
	for i, w := range u.Command {
		words[i] = quote(strings.ReplaceAll(w, "$", "$$"))
	}
	fmt.Fprintf(&b, "ExecStart=%s\n", strings.Join(words, " "))
	fmt.Fprintf(&b, `# Replaces the processes one by one.
ExecReload=/bin/kill -USR2 $MAINPID
# Only the main process is told to stop: it stops the others in their order.
KillMode=mixed
TimeoutStopSec=%d
Restart=always
RestartSec=1
# Exit code 2: a setting is wrong.
RestartPreventExitStatus=2
LimitNOFILE=1048576

[Install]
WantedBy=%s
`, int(u.StopTimeout.Seconds()), BootTarget)
	return b.String()
}

// escape escapes systemd's specifiers.
func escape(text string) string { return strings.ReplaceAll(text, "%", "%%") }

// quote quotes a word for systemd, which reads C's escapes between double quotes.
func quote(word string) string {
	word = escape(word)
	if word != "" && !strings.ContainsAny(word, " \t\n\"'\\;") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(word) + `"`
}
