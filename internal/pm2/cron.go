package pm2

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netresearch/go-cron"
)

// maxCron bounds the text of a cron_restart in bytes. All minutes of an hour, one by one, have some
// 170.
const maxCron = 1024

// cronYears is how far ahead a time is looked for: nearly twice the eight years between the
// Februaries 29 around 2100. The search skips months, so that a date which never comes, like
// February 30, costs some hundred steps.
const cronYears = 15

// cronParser reads what PM2's parser reads, and more: names like @hourly, and CRON_TZ=<zone> before
// the fields. Where both days are given, either of them counts, as cron has it.
var cronParser = cron.MustNewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow |
	cron.Descriptor | cron.DowOrDom | cron.Extended).WithMaxSearchYears(cronYears)

// ParseCron reads the times of a cron_restart: five fields, or six with seconds before them.
// Nothing is returned for the text that means never.
func ParseCron(text string) (cron.Schedule, error) {
	if text == "" || text == "0" {
		return nil, nil
	}
	if len(text) > maxCron {
		return nil, fmt.Errorf("must be at most %d bytes long", maxCron)
	}
	s, err := cronParser.Parse(wholeSteps(text))
	if err != nil {
		return nil, fmt.Errorf("must be five or six cron fields: %w", err)
	}
	return s, nil
}

// wholeSteps writes steps over a whole field, like */60 minutes, as its first value. PM2 accepts
// them, and cron.Parser doesn't.
func wholeSteps(text string) string {
	fields := strings.Fields(text)
	sizes := []struct{ size, first int }{{60, 0}, {60, 0}, {24, 0}, {31, 1}, {12, 1}, {7, 0}}
	zone := 0
	if len(fields) > 0 && strings.Contains(fields[0], "=") {
		zone = 1
	}
	missing := len(sizes) - (len(fields) - zone)
	if missing != 0 && missing != 1 {
		return text
	}
	for i := zone; i < len(fields); i++ {
		field := sizes[i-zone+missing]
		if step, ok := strings.CutPrefix(fields[i], "*/"); ok && step == strconv.Itoa(field.size) {
			fields[i] = strconv.Itoa(field.first)
		}
	}
	return strings.Join(fields, " ")
}
