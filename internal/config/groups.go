package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// groupHeading names a group of settings, which is a struct of this package.
type groupHeading struct{ group, heading string }

// headings has the groups in the order in which operators ask for them.
var headings = []groupHeading{
	{"Up", "A whole host"},
	{"Door", "Addresses"},
	{"AppDoor", "Addresses of a daemon's apps"},
	{"NodeApps", "Node apps"},
	{"Home", "The daemon"},
	{"Redis", "Redis"},
	{"App", "The app"},
	{"Admin", "The admin port"},
	{"Dashboard", "The dashboard"},
	{"API", "The HTTP API"},
	{"WorkerAdmin", "The admin port of a worker"},
	{"Shares", "Shares of hosts"},
	{"Routing", "Routing"},
	{"TLS", "TLS"},
	{"Redirect", "Plain HTTP"},
	{"Upstreams", "Upstreams"},
	{"Limits", "Limits"},
	{"Cluster", "Workers in the cluster"},
	{"Transport", "Messages between servers"},
	{"Streams", "Messages over streams"},
	{"Clients", "Clients of Go workers"},
	{"AdminUI", "The Admin UI of Go workers"},
	{"Stopping", "Stopping"},
	{"Liveness", "Signs of life"},
	{"Log", "Logs"},
	{"LogFiles", "Log files of a daemon's processes"},
	{"Requests", "Requests in the log"},
	{"Child", "Given by the supervisor"},
}

const (
	groupOf   = "sidereal-group" // the annotation of a flag that is a setting
	helpWidth = 120              // columns
)

// FlagUsages is the help on a command's flags: those that are no settings, then the settings, group by group.
func FlagUsages(flags *pflag.FlagSet) string {
	groups := map[string]*pflag.FlagSet{}
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := strings.Join(f.Annotations[groupOf], "")
		if groups[name] == nil {
			groups[name] = pflag.NewFlagSet(name, pflag.ContinueOnError)
		}
		groups[name].AddFlag(f)
	})
	var out strings.Builder
	write := func(heading, group string) {
		if set := groups[group]; set != nil {
			out.WriteString("\n" + heading + ":\n" + set.FlagUsagesWrapped(helpWidth))
		}
	}
	write("Flags", "")
	for _, h := range headings {
		write(h.heading, h.group)
	}
	return strings.Trim(out.String(), "\n")
}
