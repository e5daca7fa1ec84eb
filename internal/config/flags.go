package config

import (
	"reflect"
	"strings"

	"github.com/spf13/pflag"
)

// AddFlags declares the flags of a command, a pointer to its struct. They hold texts: [Load] checks
// and converts them like the variables.
func AddFlags(flags *pflag.FlagSet, command any) {
	for _, f := range fields(reflect.TypeOf(command)) {
		if f.internal() {
			continue
		}
		help, _, _ := strings.Cut(help[f.Variable], ". ")
		flags.StringP(Flag(f.Variable), f.tag.Get("short"), "",
			strings.ReplaceAll(strings.TrimSuffix(help, "."), "`", "")+" ("+f.Variable+"; default: "+f.shownDefault()+")")
		_ = flags.SetAnnotation(Flag(f.Variable), groupOf, []string{f.Group}) // it has just been declared
	}
}
