package pm2

import (
	"strings"
	"testing"
	"time"
)

func TestCron(t *testing.T) {
	for _, c := range []struct{ text, next string }{
		{"0 3 * * *", "2026-01-01T03:00:00Z"},
		{"*/10 * * * * *", "2026-01-01T00:00:10Z"},
		{"0 3 * * 7", "2026-01-04T03:00:00Z"},    // Sunday
		{"0 0 L * *", "2026-01-31T00:00:00Z"},    // the last day of the month
		{"0 0 15 * mon", "2026-01-05T00:00:00Z"}, // either day
		{"*/60 * * * *", "2026-01-01T01:00:00Z"},
		{"0 0 */31 * *", "2026-02-01T00:00:00Z"},
		{"CRON_TZ=UTC */60 * * * *", "2026-01-01T01:00:00Z"},
		{"0 0 1-7/2 feb,MAR sun", "2026-02-01T00:00:00Z"},
		{"0 0 29 2 *", "2028-02-29T00:00:00Z"},
		{"@daily", "2026-01-02T00:00:00Z"},
		{"@every 90s", "2026-01-01T00:01:30Z"},
		{"TZ=Asia/Tokyo 0 10 * * *", "2026-01-01T01:00:00Z"},
		{"0 0 30 2 *", "0001-01-01T00:00:00Z"}, // never
	} {
		s, err := ParseCron(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		want, err := time.Parse(time.RFC3339, c.next)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); !got.Equal(want) {
			t.Errorf("%q: next at %v, want %v", c.text, got, want)
		}
	}
	if s, err := ParseCron("0 0 29 2 *"); err != nil || s.Next(time.Date(2097, 1, 1, 0, 0, 0, 0, time.UTC)).Year() != 2104 {
		t.Errorf("the leap day after 2096 isn't found: %v", err)
	}
}

// Each of these once ended the process, or could.
func TestTimesThatAreNone(t *testing.T) {
	for _, text := range []string{
		"TZ=UTC", "CRON_TZ=UTC", "TZ=", "TZ= ", "TZ=UTC ", "TZ=Nowhere 0 3 * * *", "TZ=../../etc/passwd 0 3 * * *", " ", "* * * *", "* * * * * * *",
		"*/0 * * * *", "60 * * * *", "0-59/99999999999999999999 * * * *", "18446744073709551616 * * * *", "@every 1ns", "@every -1h", "@often",
		"-1 * * * *", strings.Repeat("0,", 600) + "0 * * * *",
	} {
		if _, err := ParseCron(text); err == nil {
			t.Errorf("%.40q is taken for times", text)
		}
	}
}

func FuzzCron(f *testing.F) {
	for _, text := range []string{"TZ=UTC", "0 3 * * 7", "*/10 * * * * *", "0 0 30 2 *", "0 0 L-30 2 *", "0 0 31W 2,4,6 *", "0 0 * 2 5#5", "@every 1s", "@yearly", "TZ=Asia/Tokyo 59 23 31 12 *"} {
		f.Add(text, int64(1_767_225_600))
	}
	f.Fuzz(func(t *testing.T, text string, from int64) {
		s, err := ParseCron(text)
		if err != nil || s == nil {
			return
		}
		at := time.Unix(from%(1<<33), 0)
		for range 3 {
			next := s.Next(at)
			if next.IsZero() {
				return // never
			}
			if !next.After(at) {
				t.Fatalf("%q: after %v comes %v", text, at, next)
			}
			at = next
		}
	})
}
