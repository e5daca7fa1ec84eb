package pm2

import (
	"errors"
	"strings"
	"testing"
)

// shown is a value as JSON.
func shown(v value) string {
	var b strings.Builder
	writeJSON(&b, v)
	return b.String()
}

func TestJSON(t *testing.T) {
	for src, want := range map[string]string{
		`{"b":1,"a":[true,false,null]}`:                     `{"b":1,"a":[true,false,null]}`,
		"/* a */ [ // b\n 1, /* c */ 2,\n ] // d":           `[1,2]`,
		`{"a": "// no comment /* none */", "b":1,}`:         `{"a":"// no comment /* none */","b":1}`,
		`"\u00e9\ud83d\ude00\n\/\\"`:                        `"é😀\n/\\"`,
		"\ufeff{}":                                          `{}`,
		`{"a": 1, "b": 2, "a": 3}`:                          `{"a":3,"b":2}`,
		`[1e21, 1e-7, 123456789012, -2.5e3, -0]`:            `[1e+21,1e-7,123456789012,-2500,0]`,
		`1e999`:                                             `null`, // Infinity, as in JavaScript
		"\"\xff\"":                                          "\"\ufffd\"",
		strings.Repeat("[", 200) + strings.Repeat("]", 200): strings.Repeat("[", 200) + strings.Repeat("]", 200),
	} {
		v, err := readJSON("f", src)
		if err != nil {
			t.Errorf("%.40s: %v", src, err)
		} else if got := shown(v); got != want {
			t.Errorf("%.40s: %s, want %s", src, got, want)
		}
	}
}

func TestWrongJSONNamesItsLine(t *testing.T) {
	for src, want := range map[string]string{
		"":                              "f:1: the file ends too early",
		"// nothing\n":                  "f:2: the file ends too early",
		"{":                             "f:1: the file ends too early",
		"{\n\"a\"":                      "f:2: the file ends too early",
		`"a`:                            "f:1: the file ends too early",
		"{a: 1}":                        "f:1: invalid character 'a' at start of ",
		"{\n\n\"a\": x}":                "f:3: invalid character 'x'",
		"{\"a\": 1\n \"b\": 2}":         "f:2: invalid character '\"'",
		"[1,\n,2]":                      "f:2: invalid character ','",
		"['a']":                         "f:1: invalid character '\\''",
		"\"a\nb\"":                      "f:1: invalid character '\\n'",
		"1 2":                           "f:1: there is text behind the value",
		"{}\n}":                         "f:2: invalid character '}'",
		"{};":                           "f:1: invalid character ';'",
		"/* a":                          "f:1: invalid character '/'",
		`"\u12"`:                        "f:1: invalid escape sequence",
		"[0x10]":                        "f:1: invalid character 'x'",
		strings.Repeat("[", 10_000):     "f:1: more than 200 levels are nested",
		strings.Repeat(`{"a":`, 10_000): "f:1: more than 200 levels are nested",
	} {
		_, err := readJSON("f", src)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.HasPrefix(err.Error(), want) {
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
