package config

import (
	"reflect"
	"slices"
	"strings"
)

// field is one setting of a command: a struct field with an env tag.
type field struct {
	Variable string
	Default  string
	Group    string // the name of the struct that has it
	tag      reflect.StructTag
	kind     reflect.Type
}

// fields lists the settings of a command's struct, embedded groups included, in the order in which
// they are declared.
func fields(t reflect.Type) []field {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			out = append(out, fields(f.Type)...)
			continue
		}
		if name := f.Tag.Get("env"); name != "" {
			out = append(out, field{name, f.Tag.Get("envDefault"), t.Name(), f.Tag, f.Type})
		}
	}
	return out
}

// Flag is the name of a variable's flag: the variable without its prefix, in lower case, with
// dashes.
func Flag(variable string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(variable, "SIDEREAL_")), "_", "-")
}

func (f field) fallbacks() []string {
	if list := f.tag.Get("fallback"); list != "" {
		return strings.Split(list, ",")
	}
	return nil
}

func (f field) secret() bool { return f.tag.Get("secret") != "" }

// ForChild reports whether a variable is one that a supervisor sets, and no operator.
func ForChild(variable string) bool {
	return slices.ContainsFunc(fields(reflect.TypeFor[Child]()), func(c field) bool { return c.Variable == variable })
}

// internal reports whether the field is for children only: it has no flag.
func (f field) internal() bool { return ForChild(f.Variable) }

// shownDefault describes the default to people.
func (f field) shownDefault() string {
	if s := f.tag.Get("shown"); s != "" {
		return s
	}
	if f.Default != "" {
		return f.Default
	}
	return "none"
}
