package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestChartsBecomePictures draws a chart with a range and one without, and reads the file as XML.
func TestChartsBecomePictures(t *testing.T) {
	folder := t.TempDir()
	err := draw(strings.NewReader(`[{"file":"echo","title":"Echo","x":"hosts","y":"µs","lines":[
		{"name":"at home","x":[1,2,8],"y":[10,11,12],"low":[9,10,11],"high":[12,12,13]},
		{"name":"at random","x":[1,2,8],"y":[10,20,30]}]}]`), folder)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(folder, "echo.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var text strings.Builder
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok {
			text.Write(data)
		}
	}
	for _, want := range []string{"Echo", "hosts", "at home", "at random"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in the picture", want)
		}
	}
}

// TestWrongChartsAreRefused: a file stays in its folder, and a line has a y for each x.
func TestWrongChartsAreRefused(t *testing.T) {
	for _, c := range []string{
		`{`, `[{"file":"../x"}]`, `[{"file":""}]`, `[{"file":"x","lines":[{"x":[1],"y":[]}]}]`, `[{"file":"x","lines":[{"x":[1],"y":[1],"low":[1]}]}]`,
	} {
		if err := draw(strings.NewReader(c), t.TempDir()); err == nil {
			t.Errorf("%s was drawn", c)
		}
	}
}
