//go:build unix

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report gathers the results of all runs.
type report struct {
	to  io.Writer
	dir string // for the output of failures

	done   int // runs that ended
	tests  int // tests in these, counted each time
	rows   map[rowKey]*row
	ran    map[rowKey]int
	stored int
}

type rowKey struct {
	key
	condition string
}

// row is a line of the table.
type row struct {
	failures int
	first    string
	file     string
}

// add takes in the results of a run, and keeps the output of its failures.
func (r *report) add(of run, got *results, took time.Duration, interrupted bool) error {
	if r.rows == nil {
		r.rows, r.ran = map[rowKey]*row{}, map[rowKey]int{}
	}
	for k, n := range got.runs {
		r.ran[rowKey{k, of.condition.name}] += n
		if k.test != "" {
			r.tests += n
		}
	}
	for _, f := range got.failures {
		file, err := r.keep(of, f)
		if err != nil {
			return err
		}
		k := rowKey{f.key, of.condition.name}
		if r.rows[k] == nil {
			r.rows[k] = &row{first: f.first, file: file}
		}
		r.rows[k].failures++
		fmt.Fprintf(r.to, "flakes:   FAIL %s %s: %s\n", short(f.pkg), f.test, cut(f.first))
	}
	if interrupted {
		fmt.Fprintf(r.to, "flakes:   interrupted after %v\n", took.Round(time.Second))
		return nil
	}
	r.done++
	fmt.Fprintf(r.to, "flakes:   %d failures in %v\n", len(got.failures), took.Round(time.Second))
	return nil
}

var unsafeInNames = regexp.MustCompile(`[^\w.=-]+`)

// keep writes the output of a failure into a file of its own.
func (r *report) keep(of run, f failure) (file string, err error) {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return "", fmt.Errorf("make the folder for the output of failures: %w", err)
	}
	name := unsafeInNames.ReplaceAllString(strings.Join([]string{short(f.pkg), f.test, of.condition.name}, "-"), "_")
	for {
		r.stored++
		file = filepath.Join(r.dir, fmt.Sprintf("%.120s-%d.txt", name, r.stored))
		out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if os.IsExist(err) {
			continue // of an earlier hunt
		} else if err != nil {
			return "", fmt.Errorf("keep the output of a failure: %w", err)
		}
		_, err = fmt.Fprintf(out, "%s\n%s %s\n%s\n\n%s", of.name(), f.pkg, f.test, strings.Join(of.command, " "), f.text)
		if err := cmp.Or(err, out.Close()); err != nil {
			return "", fmt.Errorf("keep the output of a failure: %w", err)
		}
		return file, nil
	}
}

// print writes the table, and reports whether there were failures.
func (r *report) print(planned int, interrupted bool) (failed bool) {
	fmt.Fprintln(r.to)
	if interrupted || r.done < planned {
		fmt.Fprintf(r.to, "The time was over, or a signal came: only %d of %d runs ended.\n", r.done, planned)
	}
	fmt.Fprintf(r.to, "%d runs, %d tests in them, each time counted.\n", r.done, r.tests)
	if len(r.rows) == 0 {
		fmt.Fprintln(r.to, "Nothing failed.")
		return false
	}
	keys := make([]rowKey, 0, len(r.rows))
	for k := range r.rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b rowKey) int {
		return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.test, b.test), cmp.Compare(a.condition, b.condition))
	})
	fmt.Fprintln(r.to)
	table := tabwriter.NewWriter(r.to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PACKAGE\tTEST\tCONDITION\tFAILED\tFIRST LINE\tOUTPUT")
	for _, k := range keys {
		row := r.rows[k]
		fmt.Fprintf(table, "%s\t%s\t%s\t%d/%d\t%s\t%s\n",
			short(k.pkg), cmp.Or(k.test, "-"), k.condition, row.failures, max(r.ran[k], row.failures), cut(row.first), row.file)
	}
	_ = table.Flush() // to the standard output, as all of the above
	return true
}

// short is a package's path inside the module.
func short(pkg string) string { return strings.TrimPrefix(pkg, "github.com/sidereal-io/sidereal/") }

// cut bounds a line of the table.
func cut(line string) string {
	const most = 110
	line = strings.ReplaceAll(line, "\t", " ")
	if r := []rune(line); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return line
}
