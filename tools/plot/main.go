package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// chart is one picture.
type chart struct {
	File  string `json:"file"` // without its ending
	Title string `json:"title"`
	X     string `json:"x"`
	Y     string `json:"y"`
	Lines []line `json:"lines"`
}

// line is a line with, if given, a range around each point.
type line struct {
	Name string    `json:"name"`
	X    []float64 `json:"x"`
	Y    []float64 `json:"y"`
	Low  []float64 `json:"low"`
	High []float64 `json:"high"`
}

func main() {
	folder := flag.String("o", ".", "write the files into this `folder`")
	flag.Parse()
	if err := draw(os.Stdin, *folder); err != nil {
		fmt.Fprintf(os.Stderr, "plot: %v\n", err)
		os.Exit(1)
	}
}

func draw(r io.Reader, folder string) error {
	var charts []chart
	if err := json.NewDecoder(r).Decode(&charts); err != nil {
		return fmt.Errorf("read the charts: %w", err)
	}
	for _, c := range charts {
		if err := c.draw(folder); err != nil {
			return fmt.Errorf("chart %q: %w", c.File, err)
		}
	}
	return nil
}

func (c chart) draw(folder string) error {
	if c.File == "" || filepath.Base(c.File) != c.File {
		return errors.New("the file has no name, or one with a folder")
	}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.X, c.Y
	p.Title.Padding = vg.Points(6)
	p.Legend.Top, p.Legend.Left = true, true
	for _, style := range []*font.Font{
		&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font,
	} {
		style.Typeface, style.Variant = "Liberation", "Sans"
	}
	p.Y.Min = 0
	p.Add(plotter.NewGrid())
	for i, l := range c.Lines {
		if err := l.draw(p, i); err != nil {
			return fmt.Errorf("line %q: %w", l.Name, err)
		}
	}
	p.Y.Max *= 1.25 // room for the legend
	return p.Save(17*vg.Centimeter, 10*vg.Centimeter, filepath.Join(folder, c.File+".svg"))
}

// points are a line's, and their ranges.
type points struct {
	plotter.XYs
	plotter.YErrors
}

func (l line) draw(p *plot.Plot, i int) error {
	if len(l.X) == 0 || len(l.X) != len(l.Y) || len(l.Low) != len(l.High) || len(l.Low) > 0 && len(l.Low) != len(l.X) {
		return fmt.Errorf("%d x, %d y, %d low and %d high values", len(l.X), len(l.Y), len(l.Low), len(l.High))
	}
	var all points
	for k := range l.X {
		all.XYs = append(all.XYs, plotter.XY{X: l.X[k], Y: l.Y[k]})
	}
	drawn, err := plotter.NewLine(all.XYs)
	if err != nil {
		return err
	}
	drawn.Color, drawn.Width = plotutil.Color(i), vg.Points(1.5)
	if len(l.Low) == 0 {
		drawn.Dashes = plotutil.Dashes(1)
	}
	p.Add(drawn)
	p.Legend.Add(l.Name, drawn)
	if len(l.Low) == 0 {
		return nil
	}
	for k := range l.X {
		all.YErrors = append(all.YErrors, struct{ Low, High float64 }{l.Y[k] - l.Low[k], l.High[k] - l.Y[k]})
	}
	ranges, err := plotter.NewYErrorBars(all)
	if err != nil {
		return err
	}
	ranges.Color = drawn.Color
	p.Add(ranges)
	return nil
}
