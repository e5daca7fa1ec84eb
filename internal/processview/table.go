package processview

import (
	"io"
	"strings"
)

// color is the parameter of a terminal's escape. Empty means none.
type color string

const (
	plain  color = ""
	bold   color = "1"
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	blue   color = "34"
	cyan   color = "36;1"
	gray   color = "90"
)

// paint colors a text if the screen has colors.
func (s Screen) paint(c color, text string) string {
	if !s.Color || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[39;22m"
}

// cell is one field of a table.
type cell struct {
	text  string
	color color
}

// column is one column of a table.
type column struct {
	head string
	rank int // columns of a higher rank are dropped sooner; 0: never
	min  int // the width below which it isn't cut; 0: it is never cut
}

// table has rows below column heads, in a box.
type table struct {
	columns []column
	rows    [][]cell
	noHead  bool
}

const (
	border  = 3  // a column's width beside its text
	roomy   = 24 // width to which texts are cut before columns are dropped
	atLeast = 6  // width to which texts are cut afterward
)

// write prints the table within the screen's width.
func (t *table) write(s Screen) error {
	widths := t.fit(s.Width)
	var b strings.Builder
	t.rule(s, &b, widths, "┌", "┬", "┐")
	if !t.noHead {
		heads := make([]cell, len(t.columns))
		for i, c := range t.columns {
			heads[i] = cell{c.head, cyan}
		}
		t.row(s, &b, widths, heads)
		t.rule(s, &b, widths, "├", "┼", "┤")
	}
	for _, row := range t.rows {
		t.row(s, &b, widths, row)
	}
	t.rule(s, &b, widths, "└", "┴", "┘")
	_, err := io.WriteString(s, b.String())
	return err
}

// fit returns the widths of the columns, 0 for dropped ones.
func (t *table) fit(width int) []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		if !t.noHead {
			widths[i] = columns(c.head)
		}
		for _, row := range t.rows {
			widths[i] = max(widths[i], columns(row[i].text))
		}
		widths[i] = max(widths[i], 1)
	}
	if width <= 0 {
		return widths
	}
	for total(widths) > width && t.cut(widths, roomy) {
	}
	for total(widths) > width && t.drop(widths) {
	}
	for total(widths) > width && t.cut(widths, atLeast) {
	}
	return widths
}

func total(widths []int) int {
	sum := 1
	for _, w := range widths {
		if w > 0 {
			sum += w + border
		}
	}
	return sum
}

// drop drops the least important column.
func (t *table) drop(widths []int) bool {
	worst := -1
	for i, c := range t.columns {
		if widths[i] > 0 && c.rank > 0 && (worst < 0 || c.rank > t.columns[worst].rank) {
			worst = i
		}
	}
	if worst >= 0 {
		widths[worst] = 0
	}
	return worst >= 0
}

// cut makes the widest column that may be cut one narrower, but not below down.
func (t *table) cut(widths []int, down int) bool {
	widest := -1
	for i, c := range t.columns {
		if c.min > 0 && widths[i] > max(c.min, down) && (widest < 0 || widths[i] > widths[widest]) {
			widest = i
		}
	}
	if widest >= 0 {
		widths[widest]--
	}
	return widest >= 0
}

func (t *table) rule(s Screen, b *strings.Builder, widths []int, left, middle, right string) {
	var line strings.Builder
	for _, w := range widths {
		if w == 0 {
			continue
		}
		if line.Len() == 0 {
			line.WriteString(left)
		} else {
			line.WriteString(middle)
		}
		line.WriteString(strings.Repeat("─", w+border-1))
	}
	line.WriteString(right)
	b.WriteString(s.paint(gray, line.String()) + "\n")
}

func (t *table) row(s Screen, b *strings.Builder, widths []int, row []cell) {
	for i, c := range row {
		if widths[i] == 0 {
			continue
		}
		text := shorten(c.text, widths[i])
		b.WriteString(s.paint(gray, "│") + " " + s.paint(c.color, text) + pad(text, widths[i]) + " ")
	}
	b.WriteString(s.paint(gray, "│") + "\n")
}

// clean replaces characters that would move the cursor or break the box.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
