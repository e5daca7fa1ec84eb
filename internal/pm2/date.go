package pm2

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// dateParts are the letters of day.js' formats; what stands in brackets is printed as it is.
var dateParts = regexp.MustCompile(`\[[^\]]+\]|Y{1,4}|M{1,4}|D{1,2}|d{1,4}|H{1,2}|h{1,2}|a|A|m{1,2}|s{1,2}|Z{1,2}|SSS`)

// TimeFormat is the LogDateFormat of `time: true`.
const TimeFormat = "YYYY-MM-DDTHH:mm:ss"

// FormatDate prints a time in the format of an app's LogDateFormat.
func FormatDate(format string, t time.Time) string {
	return dateParts.ReplaceAllStringFunc(format, func(part string) string {
		if text, ok := strings.CutPrefix(part, "["); ok {
			return strings.TrimSuffix(text, "]")
		}
		return datePart(part, t)
	})
}

func datePart(part string, t time.Time) string {
	switch part {
	case "YY":
		return t.Format("06")
	case "YYYY":
		return t.Format("2006")
	case "M":
		return t.Format("1")
	case "MM":
		return t.Format("01")
	case "MMM":
		return t.Format("Jan")
	case "MMMM":
		return t.Format("January")
	case "D":
		return t.Format("2")
	case "DD":
		return t.Format("02")
	case "d":
		return fmt.Sprint(int(t.Weekday()))
	case "dd":
		return t.Format("Mon")[:2]
	case "ddd":
		return t.Format("Mon")
	case "dddd":
		return t.Format("Monday")
	}
	return clockPart(part, t)
}

func clockPart(part string, t time.Time) string {
	switch part {
	case "H":
		return fmt.Sprint(t.Hour())
	case "HH":
		return t.Format("15")
	case "h":
		return t.Format("3")
	case "hh":
		return t.Format("03")
	case "a":
		return t.Format("pm")
	case "A":
		return t.Format("PM")
	case "m":
		return t.Format("4")
	case "mm":
		return t.Format("04")
	case "s":
		return t.Format("5")
	case "ss":
		return t.Format("05")
	case "SSS":
		return fmt.Sprintf("%03d", t.Nanosecond()/int(time.Millisecond))
	case "Z":
		return t.Format("-07:00")
	case "ZZ":
		return t.Format("-0700")
	}
	return part
}
