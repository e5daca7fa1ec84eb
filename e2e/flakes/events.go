//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// key names a test. An empty test stands for the package as a whole: it doesn't compile, a
// goroutine is left over, …
type key struct{ pkg, test string }

// failure is one of a test, or of a command as a whole.
type failure struct {
	key
	first string // line of the text that says what is wrong
	text  string // all that the test printed, with its subtests
}

// results are the outcomes of one command.
type results struct {
	runs     map[key]int
	failures []failure
}

func (r *results) failed() bool { return len(r.failures) > 0 }

// commandFailed notes that the command failed without telling of a test.
func (r *results) commandFailed(command, why, text string) {
	k := key{pkg: command}
	r.runs[k]++
	r.failures = append(r.failures, failure{k, why, text})
}

// event is one of `go test -json` (see `go doc test2json`) and `go build -json`.
type event struct {
	Action, Package, Test, Output, ImportPath, FailedBuild string
}

// reader takes in what a command prints, `go test -json` among other things, as it comes.
type reader struct {
	results results
	rest    io.Writer   // takes the lines that aren't events
	over    func() bool // tells that the run is interrupted: what fails then counts for nothing
	line    []byte      // an unfinished one
	running map[string]*progress
	builds  map[string]*strings.Builder // what the compiler said, by package
}

// progress is how far the tests of a package have come.
type progress struct {
	text strings.Builder             // of the package itself
	open map[string]*strings.Builder // output of each test at the top that has begun, with its subtests
	bad  map[string][]string         // the tests that failed, by that at the top
	told int                         // failures of tests so far
}

func newReader(rest io.Writer, over func() bool) *reader {
	return &reader{
		results: results{runs: map[key]int{}}, rest: rest, over: over,
		running: map[string]*progress{}, builds: map[string]*strings.Builder{},
	}
}

// Write takes more of the output; it never fails.
func (r *reader) Write(p []byte) (int, error) {
	r.line = append(r.line, p...)
	for {
		line, rest, found := bytes.Cut(r.line, []byte("\n"))
		if !found {
			return len(p), nil
		}
		r.take(line)
		r.line = rest
	}
}

// close takes the last line, if it has no end.
func (r *reader) close() {
	if len(r.line) > 0 {
		r.take(r.line)
	}
	r.line = nil
}

func (r *reader) take(line []byte) {
	var e event
	if len(line) == 0 || line[0] != '{' || json.Unmarshal(line, &e) != nil || e.Action == "" {
		_, _ = r.rest.Write(append(bytes.Clone(line), '\n')) // a tail, which takes everything
		return
	}
	if r.over() {
		return
	}
	if e.ImportPath != "" {
		b := r.builds[e.ImportPath]
		if b == nil {
			b = &strings.Builder{}
			r.builds[e.ImportPath] = b
		}
		b.WriteString(e.Output)
		return
	}
	p := r.running[e.Package]
	if p == nil {
		p = &progress{open: map[string]*strings.Builder{}, bad: map[string][]string{}}
		r.running[e.Package] = p
	}
	top, _, _ := strings.Cut(e.Test, "/")
	switch {
	case e.Test == "":
		r.ofPackage(e, p)
	case e.Action == "run" && e.Test == top:
		p.open[top] = &strings.Builder{}
	case e.Action == "output":
		if text := p.open[top]; text != nil {
			text.WriteString(e.Output)
		}
	case e.Action == "fail":
		p.bad[top] = append(p.bad[top], e.Test)
	}
	if over := e.Action == "pass" || e.Action == "fail" || e.Action == "skip"; over && e.Test != "" {
		r.results.runs[key{e.Package, e.Test}]++
		if e.Test == top {
			r.ended(e.Package, top, p)
		}
	}
}

// ofPackage takes an event of a package as a whole.
func (r *reader) ofPackage(e event, p *progress) {
	switch e.Action {
	case "output":
		p.text.WriteString(e.Output)
	case "pass", "skip":
		r.results.runs[key{pkg: e.Package}]++
		delete(r.running, e.Package)
	case "fail":
		r.results.runs[key{pkg: e.Package}]++
		for _, top := range slices.Sorted(maps.Keys(p.open)) { // the process ended while these ran
			r.results.runs[key{e.Package, top}]++
			p.bad[top] = append(p.bad[top], top)
			r.ended(e.Package, top, p)
		}
		if p.told == 0 {
			text := p.text.String()
			if b := r.builds[e.FailedBuild]; b != nil {
				text = b.String() + text
			}
			r.results.failures = append(r.results.failures, failure{key{pkg: e.Package}, firstLine(text), text})
		}
		delete(r.running, e.Package)
	}
}

// ended notes the failures of a test at the top that has ended: those of its subtests, if any of
// these failed.
func (r *reader) ended(pkg, top string, p *progress) {
	var text string
	if b := p.open[top]; b != nil {
		text = b.String()
	}
	for _, test := range p.bad[top] {
		if slices.ContainsFunc(p.bad[top], func(other string) bool { return strings.HasPrefix(other, test+"/") }) {
			continue
		}
		p.told++
		r.results.failures = append(r.results.failures, failure{key{pkg, test}, firstLine(about(text, test)), text})
	}
	delete(p.open, top)
	delete(p.bad, top)
}

var header = regexp.MustCompile(`^\s*(?:=== |--- )(?:[A-Z]+):?\s+(\S+)`)

// about returns the lines of the output that belong to one test, as far as the headers tell; all of
// them if none do.
func about(text, test string) string {
	var own strings.Builder
	mine := false
	for line := range strings.Lines(text) {
		if m := header.FindStringSubmatch(line); m != nil {
			mine = m[1] == test
		} else if mine {
			own.WriteString(line)
		}
	}
	if own.Len() == 0 {
		return text
	}
	return own.String()
}

// telling are the forms of a line that says what is wrong, the best first.
var telling = []*regexp.Regexp{
	regexp.MustCompile(`^WARNING: DATA RACE`),
	regexp.MustCompile(`^panic: |^fatal error: `),
	regexp.MustCompile(`^\s*\w+_test\.go:\d+: `),
	regexp.MustCompile(`^goleak: `),
	regexp.MustCompile(`^\s*[\w./-]+\.go:\d+(?::\d+)?: `),
}

// firstLine returns the line that says what is wrong, as far as that can be told.
func firstLine(text string) string {
	for _, form := range telling {
		for line := range strings.Lines(text) {
			if form.MatchString(line) {
				return strings.TrimSpace(line)
			}
		}
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !header.MatchString(line) && !strings.HasPrefix(line, "FAIL") {
			return line
		}
	}
	return "it printed nothing"
}
