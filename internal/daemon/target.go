package daemon

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sidereal-io/sidereal/internal/config"
)

// target is what commands call processes by: "all", an id, a name, a namespace, or /an expression/
// that names match. The first of these that fits any process counts.
type target struct {
	text string
	expr *regexp.Regexp // nil: it is none
}

func parseTarget(text string) (target, error) {
	t := target{text: text}
	if len(text) < 3 || text[0] != '/' || text[len(text)-1] != '/' {
		return t, nil
	}
	var err error
	t.expr, err = regexp.Compile(strings.ReplaceAll(text[1:len(text)-1], `\/`, "/"))
	if err != nil {
		return t, &Failure{Code: config.ExitUsage, Text: fmt.Sprintf("%s is not a regular expression: %v", text, err)}
	}
	return t, nil
}

// called is what a target knows of a process.
type called struct {
	id              int
	name, namespace string
}

// ways are those of being meant, the first first.
func (t target) ways() []func(called) bool {
	switch {
	case t.text == "all":
		return []func(called) bool{func(called) bool { return true }}
	case t.expr != nil:
		return []func(called) bool{func(c called) bool { return t.expr.MatchString(c.name) }}
	}
	return []func(called) bool{
		func(c called) bool { return strconv.Itoa(c.id) == t.text },
		func(c called) bool { return c.name == t.text },
		func(c called) bool { return c.namespace == t.text },
	}
}

// choose returns those of all that a target means.
func choose[T any](t target, all []T, of func(T) called) (chosen []T) {
	for _, meant := range t.ways() {
		for _, one := range all {
			if meant(of(one)) {
				chosen = append(chosen, one)
			}
		}
		if len(chosen) > 0 {
			break
		}
	}
	return chosen
}

// Find returns the processes that a target of Action means. The error is of a target that is none.
func (l Listing) Find(text string) ([]Process, error) {
	t, err := parseTarget(text)
	if err != nil {
		return nil, err
	}
	return choose(t, l.Processes, func(p Process) called { return called{p.ID, p.Name, p.Namespace} }), nil
}

// targets are the processes that targets mean, each once, by id. A target that means none is
// missing, but for "all".
func (b *book) targets(texts []string) (_ []*entry, missing []error, _ error) {
	found := map[int]*entry{}
	var errs []error
	for _, text := range texts {
		t, err := parseTarget(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		mine := b.chosen(t)
		if len(mine) == 0 && text != "all" {
			missing = append(missing, &Failure{Code: config.ExitFailed, Text: text + ": no process has this id, name or namespace"})
		}
		for _, e := range mine {
			found[e.id] = e
		}
	}
	if len(errs) > 0 {
		return nil, nil, joined(append(errs, missing...))
	}
	return byID(found), missing, nil
}

// chosen are the processes that a target means, by id.
func (b *book) chosen(t target) []*entry { return choose(t, byID(b.entries), (*entry).called) }

func byID(entries map[int]*entry) (out []*entry) {
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		out = append(out, entries[id])
	}
	return out
}

func (e *entry) called() called { return called{e.id, e.app.name, e.app.names} }
