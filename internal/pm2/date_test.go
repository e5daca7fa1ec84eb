package pm2

import (
	"testing"
	"time"
)

// The results are day.js'.
func TestFormatDate(t *testing.T) {
	at := time.Date(2026, 3, 5, 15, 4, 9, 7_600_000, time.FixedZone("", 5*3600+1800))
	for format, want := range map[string]string{
		"YYYY-MM-DDTHH:mm:ss":       "2026-03-05T15:04:09",
		"YYYY-MM-DD HH:mm:ss.SSS Z": "2026-03-05 15:04:09.007 +05:30",
		"YY M D H m s ZZ":           "26 3 5 15 4 9 +0530",
		"dddd, MMMM D, h:mm A":      "Thursday, March 5, 3:04 PM",
		"ddd dd d MMM hh a":         "Thu Th 4 Mar 03 pm",
		"[YYYY escaped] YYYY":       "YYYY escaped 2026",
		"":                          "",
		"dates":                     "4pmte9",
	} {
		if got := FormatDate(format, at); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
}
