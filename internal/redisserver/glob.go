package redisserver

// globMatch reports whether s matches a pattern of PSUBSCRIBE, in Redis's glob style: * for any
// bytes, ? for one, [abc], [a-z] and [^a] for one of a class, \ before a literal byte. It takes at
// most len(pattern)*len(s) steps.
func globMatch(pattern, s string) bool {
	var (
		p, i   int
		star   = -1 // where the pattern goes on after the last *
		absorb int  // how much of s that * does not reach
	)
	for i < len(s) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				p++
				star, absorb = p, i
				continue
			}
			if size, ok := globOne(pattern[p:], s[i]); ok {
				p += size
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		absorb++
		p, i = star, absorb
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// globOne matches one byte with the pattern's first element, which isn't *, and returns the size of
// the element.
func globOne(pattern string, c byte) (size int, ok bool) {
	switch {
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '[':
		return globClass(pattern, c)
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, pattern[1] == c
	}
	return 1, pattern[0] == c
}

// globClass is globOne for a class. A class without its closing bracket ends with the pattern.
func globClass(pattern string, c byte) (size int, ok bool) {
	p := 1
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	for p < len(pattern) && pattern[p] != ']' {
		switch {
		case pattern[p] == '\\' && len(pattern)-p >= 2:
			ok = ok || pattern[p+1] == c
			p += 2
		case len(pattern)-p >= 3 && pattern[p+1] == '-':
			from, to := min(pattern[p], pattern[p+2]), max(pattern[p], pattern[p+2])
			ok = ok || from <= c && c <= to
			p += 3
		default:
			ok = ok || pattern[p] == c
			p++
		}
	}
	return min(p+1, len(pattern)), ok != not
}
