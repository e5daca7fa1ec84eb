package pm2

import (
	"errors"
	"strings"
	"testing"
)

// shown is a value as JSON, and as nothing that JSON cannot say.
func shown(v value) string {
	var b strings.Builder
	writeJSON(&b, v)
	return b.String()
}

func TestLiterals(t *testing.T) {
	for src, want := range map[string]string{
		`{"b":1,"a":[true,false,null]}`:           `{"b":1,"a":[true,false,null]}`,
		`{a: 'x', "b": "y", 'c': [1,2,], 3: 4,}`:  `{"a":"x","b":"y","c":[1,2],"3":4}`,
		"`a\nb`":                                  `"a\nb"`,
		"`sum ${1 + 2} ${`in ${'ner'}`} \\` $`":   "\"sum 3 in ner ` $\"",
		`"\u00e9\x41\u{1F600}\ud83d\ude00\n\/\'"`: `"éA😀😀\n/'"`,
		"'a\\\nb'":                                 `"ab"`,
		`[0x10, 0b11, 0o17, 1e3, .5, 1_000, -2]`:   `[16,3,15,1000,0.5,1000,-2]`,
		`[1+2*3, (1+2)*3, 7%4, 8/2, 5-1-1, -(-1)]`: `[7,9,3,4,3,1]`,
		`"a" + 1 + true`:                           `"a1true"`,
		`[null || "x", 0 ?? 1, null ?? 2, 1 && 2]`: `["x",0,2,2]`,
		`[!0, !"x", 1 === 1, "a" != "a", 1 == 2]`:  `[true,false,true,false,false]`,
		`true ? 1 : false ? 2 : 3`:                 `1`,
		`false ? 1 : false ? 2 : 3`:                `3`,
		`{a: undefined, b: [undefined]}`:           `{"b":[null]}`,
		`[...[1, 2], 3]`:                           `[1,2,3]`,
		`{...{a: 1, b: 2}, a: 3}`:                  `{"a":3,"b":2}`,
		`/* a */ [ // b` + "\n 1 ] // c":           `[1]`,
		"\ufeff{\u00a0}":                           `{}`,
		`{a: 1, a: 2}`:                             `{"a":2}`,
		`{["a" + 1]: 2}`:                           `{"a1":2}`,
		`[1e21, 1e-7, 123456789012, NaN]`:          `[1e+21,1e-7,123456789012,null]`,
		`/a[/]b\//gi`:                              `{}`,
	} {
		v, err := readJSON("f", src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
		} else if got := shown(v); got != want {
			t.Errorf("%s: %s, want %s", src, got, want)
		}
	}
}

func TestWhatIsNoLiteral(t *testing.T) {
	for src, want := range map[string]string{
		"":                               "f:1: the file ends too early",
		"{":                              "f:1: the file ends too early",
		"{a}":                            "f:1: a is not known",
		"{a: 1 b: 2}":                    `f:1: "b" is not expected here`,
		"[1,,2]":                         `f:1: "," is not expected here`,
		"\n\n{a:\n x}":                   "f:4: x is not known",
		"'a\nb'":                         "f:1: text has no closing quote",
		`"a`:                             "f:1: text has no closing quote",
		`"\`:                             "f:1: text has no closing quote",
		"`a":                             "f:1: a template has no closing backtick",
		"`${1":                           "f:1: a template has no closing backtick",
		"`\n${a}`":                       "f:2: a is not known",
		"/* a":                           "f:1: a comment has no end",
		"[/a]":                           "f:1: a regular expression has no end",
		`"\u12"`:                         `f:1: \u needs 4 hexadecimal digits`,
		`"\u{110000000}"`:                `f:1: \u{110000000} is no character`,
		"1n":                             "f:1: 1n is no number",
		"0x":                             "f:1: 0x is no number",
		"1 2":                            `f:1: "2" is not expected here`,
		"process.env":                    "f:1: process is not known",
		"#":                              `f:1: '#' is not expected here`,
		"- 'a'":                          "f:1: - needs a number",
		"[] + 1":                         "f:1: + needs two numbers",
		"[...1]":                         "f:1: ... needs a list",
		"{...1}":                         "f:1: ... needs an object",
		"undefined":                      "f:1: there is no value",
		strings.Repeat("[", 10_000):      "f:1: more than 200 levels are nested",
		strings.Repeat("!", 10_000):      "f:1: more than 200 levels are nested",
		strings.Repeat("`${", 300) + "1": "f:1: a template has no closing backtick",
	} {
		_, err := readJSON("f", src)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", src, err, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		"":                       nil,
		"  a  b\tc\n":            {"a", "b", "c"},
		`a "b c" 'd "e"' f'g h'`: {"a", "b c", `d "e"`, "fg h"},
		`--title="x y" ''`:       {"--title=x y", ""},
		`"open`:                  {"open"},
	} {
		got := split(text)
		if strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}
