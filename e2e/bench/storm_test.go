//go:build linux

package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestStormReport(t *testing.T) {
	r := &stormRound{clients: 8, victims: 2, back: []time.Duration{1200 * time.Millisecond, 900 * time.Millisecond}, refused: map[string]int{}, dropped: 3, unanswered: 4}
	for i := range 100 { // 1 s before the death, to 3 s after it
		r.echoes = append(r.echoes, stormEcho{time.Duration(i-25) * 40 * time.Millisecond, time.Duration(i) * time.Millisecond})
	}
	r.failed(errors.New(`upgrade: "HTTP/1.1 503 Service Unavailable", EOF`))
	r.failed(errors.New("connection reset by peer"))
	const want = "| 2 | 0.90 | 1.20 | **1.20** | 1 × 503 Service Unavailable | 1 | 3 | 4 | 23.0 | 54.0 | "
	if got := r.row(); !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	charts := stormCharts([]*stormRound{r})
	if s := charts[0].Lines[0]; len(s.X) != 3 || s.Y[1] != 50 || s.X[2] != 1.2 || s.Y[2] != 100 {
		t.Errorf("served: %+v", s)
	}
	if e := charts[1].Lines[0]; e.X[0] != -1 || len(e.X) != 16 {
		t.Errorf("echoes: %+v", e)
	}
	r.victims = 3 // one stays away
	if got := r.row(); !strings.HasPrefix(got, "| 3 | 1.20 | never | **never** |") {
		t.Error(got)
	}
	if text := stormReport(stormOptions{hosts: 4, clients: 8}, []*stormRound{r}, time.Second); !strings.Contains(text, "\n| 1 | 3 | 1.20 |") {
		t.Error(text)
	}
}
