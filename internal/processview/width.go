package processview

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// screenWidth counts the columns of a terminal. Lines of tables have one column in every locale.
var screenWidth = &runewidth.Condition{StrictEmojiNeutral: true}

// columns returns how many columns of a terminal a text takes.
func columns(text string) int { return screenWidth.StringWidth(text) }

// pad returns the space that makes a text fill so many columns.
func pad(text string, width int) string { return strings.Repeat(" ", max(0, width-columns(text))) }

// shorten cuts a text to so many columns. A cut text ends with an ellipsis.
func shorten(text string, width int) string { return screenWidth.Truncate(text, width, "…") }
