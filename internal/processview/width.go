package processview

import (
	"strings"
	"unicode"
)

// wide are the characters that take two columns of a terminal: East Asian scripts and pictures (Unicode Standard Annex 11).
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0xa4cf, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff01, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1}, {Lo: 0x1f900, Hi: 0x1faff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

// columns is how many columns of a terminal a text takes.
func columns(text string) (n int) {
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf): // part of what stands before it
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// pad is the space that makes a text fill so many columns.
func pad(text string, width int) string { return strings.Repeat(" ", max(0, width-columns(text))) }

// shorten cuts a text to so many columns; its end says that something is missing.
func shorten(text string, width int) string {
	if columns(text) <= width {
		return text
	}
	left := width - 1
	for i, r := range text {
		if left -= columnsOf(r); left < 0 {
			return text[:i] + "…"
		}
	}
	return text
}
