package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/config"
)

// takes checks the number of arguments; a negative most means any number. Its error shows the
// command's usage.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usageError("use: " + strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		return nil
	}
}

// knownCommand refuses an unknown command, and names similar ones.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	meant := slices.DeleteFunc(root.SuggestionsFor(args[0]), func(name string) bool {
		return len(name) < 4 && !strings.HasPrefix(args[0], name[:1]) // two edits make any short word of another
	})
	if len(meant) > 0 {
		text += ": did you mean " + strings.Join(meant, " or ") + "?"
	}
	return usageError(text)
}

// behindVerb moves flags from before a process command to behind it, because PM2's flags are for
// all commands.
func behindVerb(root *cobra.Command, args []string) []string {
	if len(args) == 0 || !strings.HasPrefix(args[0], "-") || slices.Contains([]string{"-h", "--help", "-v", "--version"}, args[0]) {
		return args
	}
	for i, arg := range args {
		for _, c := range root.Commands() {
			if isProcessCommand(c) && (c.Name() == arg || c.HasAlias(arg)) {
				return slices.Concat(args[i:i+1], args[:i], args[i+1:])
			}
		}
	}
	return args
}

// isProcessCommand reports whether PM2 has the command, too.
func isProcessCommand(c *cobra.Command) bool {
	return slices.Contains([]string{groupRun, groupLook, groupKeep}, c.GroupID) || c.Hidden && !c.DisableFlagParsing
}

// usageTemplate groups the settings among a command's flags as in docs/configuration.md, because
// some commands have sixty.
func usageTemplate(common string) string {
	cobra.AddTemplateFunc("settings", config.FlagUsages)
	return strings.Replace(common, "Flags:\n{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}", "{{settings .LocalFlags}}", 1)
}
