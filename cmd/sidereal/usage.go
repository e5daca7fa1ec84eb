package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/config"
)

// takes is for a command with so many arguments; most may be any, below 0. Others are told its line
// of use.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usageError("use: " + strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		return nil
	}
}

// knownCommand refuses a word that is no command, and names those that it may have been meant for.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if meant := root.SuggestionsFor(args[0]); len(meant) > 0 {
		text += ": did you mean " + strings.Join(meant, " or ") + "?"
	}
	return usageError(text)
}

// behindVerb moves flags that stand before a process command behind it: PM2's are for all commands.
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

// isProcessCommand reports whether a command is one of those that PM2 has, too.
func isProcessCommand(c *cobra.Command) bool {
	return slices.Contains([]string{groupRun, groupLook, groupKeep}, c.GroupID) || c.Hidden && !c.DisableFlagParsing
}

// usageTemplate has the settings among a command's flags in groups, as docs/configuration.md has:
// some have sixty.
func usageTemplate(common string) string {
	cobra.AddTemplateFunc("settings", config.FlagUsages)
	return strings.Replace(common, "Flags:\n{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}", "{{settings .LocalFlags}}", 1)
}
