package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/processview"
)

// watchEvery is the time between two drawings of `list --watch`.
const watchEvery = time.Second

// watchList draws the list again and again on the terminal's second screen until ctx ends. Then
// it restores the first one.
func (c *control) watchList(ctx context.Context, sort string) error {
	if !config.Terminal(os.Stdout) {
		return usageError("--watch needs a terminal: for programs there is `" + calledAs() + " jlist`")
	}
	fmt.Fprint(c.out, processview.OpenScreen)
	defer fmt.Fprint(c.out, processview.CloseScreen)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := c.drawList(ctx, sort); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// drawList draws the list once, as large as the terminal is now.
func (c *control) drawList(ctx context.Context, sort string) error {
	l, err := c.listing(ctx)
	if err != nil {
		return err
	}
	if err := processview.Sort(&l, sort); err != nil {
		return usageError(err.Error())
	}
	screen := processview.ScreenOf(os.Stdout, c.out.Color)
	var page bytes.Buffer
	now := time.Now()
	fmt.Fprintf(&page, "%s, Ctrl-C ends\n", now.Format(time.DateTime))
	if err := processview.List(processview.Screen{Writer: &page, Width: screen.Width, Color: screen.Color}, l, now); err != nil {
		return err
	}
	return screen.Draw(page.Bytes())
}
