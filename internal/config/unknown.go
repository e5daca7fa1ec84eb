package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// commands has the structs of all commands. A variable that one of them reads is known.
var commands = map[string]reflect.Type{
	"start":       reflect.TypeFor[Daemon](),
	"up":          reflect.TypeFor[Up](),
	"router":      reflect.TypeFor[Router](),
	"worker":      reflect.TypeFor[Worker](),
	"api":         reflect.TypeFor[APIServer](),
	"healthcheck": reflect.TypeFor[Healthcheck](),
	"cluster":     reflect.TypeFor[Inspect](),
}

// unknown returns a warning for each SIDEREAL_* variable that no command reads, with the known name
// that is nearest to it.
func unknown(environ map[string]string) (warnings []string) {
	known := map[string]bool{}
	for _, t := range commands {
		for _, f := range fields(t) {
			known[f.Variable] = true
			if f.secret() {
				known[f.Variable+"_FILE"] = true
			}
		}
	}
	names := slices.Sorted(maps.Keys(known))
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		if !strings.HasPrefix(name, "SIDEREAL_") || known[name] {
			continue
		}
		if near := nearest(name, names); near != "" {
			warnings = append(warnings, fmt.Sprintf("%s is not a setting: did you mean %s?", name, near))
		} else {
			warnings = append(warnings, name+" is not a setting")
		}
	}
	return warnings
}

// nearest returns the name with the fewest edits to word. It returns none if more than a third of
// the letters after the common prefix differ.
func nearest(word string, names []string) string {
	best, found := 1+(len(word)-len("SIDEREAL_"))/3, ""
	for _, name := range names {
		if d := edits(word, name); d <= best && (found == "" || d < best) {
			best, found = d, name
		}
	}
	return found
}

// edits returns how many letters to insert, delete, replace or swap with their neighbour to turn a
// into b.
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
