package pm2

import (
	"strings"
	"unicode"
)

// words reads a list of text, or splits a text at blanks outside of quotes.
func words(v value) ([]string, error) {
	switch v := v.(type) {
	case string:
		return split(v), nil
	case []value:
		list := make([]string, 0, len(v))
		for _, e := range v {
			switch e.(type) {
			case string, float64, bool:
				list = append(list, text(e))
			default:
				return nil, wrongType{}
			}
		}
		return list, nil
	}
	return nil, wrongType{}
}

// split cuts text at blanks, except inside quotes, which may follow a name and an equals sign.
func split(s string) (words []string) {
	var b strings.Builder
	inWord := false
	var quote rune
	end := func() {
		if inWord {
			words = append(words, b.String())
		}
		b.Reset()
		inWord = false
	}
	for _, r := range s {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			b.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case unicode.IsSpace(r):
			end()
		default:
			b.WriteRune(r)
			inWord = true
		}
	}
	end()
	return words
}
