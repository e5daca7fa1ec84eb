//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
)

// condition is a way to make life hard for tests.
type condition struct {
	name    string
	flags   []string // of go test
	busy    bool     // every core has something else to do
	oneCore bool     // all processes of the run share one core
	cold    bool     // nothing is compiled: the tests run beside the compiler
}

var conditions = []condition{
	{name: "cpu", flags: []string{"-cpu", "1,2,4"}},
	{name: "race", flags: []string{"-race"}},
	{name: "busy", flags: []string{"-cpu", "2"}, busy: true},
	{name: "race-busy", flags: []string{"-race", "-cpu", "4"}, busy: true},
	{name: "core", oneCore: true},
	{name: "core-busy", oneCore: true, busy: true},
	{name: "cold", cold: true},
	{name: "shuffle", flags: []string{"-shuffle", "on"}},
}

func conditionNames() string {
	names := make([]string, len(conditions))
	for i, c := range conditions {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// choose returns the conditions of a list of names; all of them if it is empty.
func choose(list string) (chosen []condition, err error) {
	if list == "" {
		return conditions, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(conditions, func(c condition) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no condition %q; there are %s", name, conditionNames())
		}
		chosen = append(chosen, conditions[i])
	}
	return chosen, nil
}
