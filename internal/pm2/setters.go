package pm2

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

func setText(at func(*App) *string) func(*settler, *App, value) error {
	return func(_ *settler, a *App, v value) error {
		switch v := v.(type) {
		case string:
			*at(a) = v
		case float64: // a uid, a name of digits in YAML
			*at(a) = numberText(v)
		default:
			return wrongType{}
		}
		return nil
	}
}

func setBool(at func(*App) *bool) func(*settler, *App, value) error {
	return func(_ *settler, a *App, v value) (err error) {
		b, ok := v.(bool)
		if !ok {
			return wrongType{}
		}
		*at(a) = b
		return nil
	}
}

func setWords(at func(*App) *[]string) func(*settler, *App, value) error {
	return func(_ *settler, a *App, v value) (err error) {
		*at(a), err = words(v)
		return err
	}
}

func setMillis(at func(*App) *Duration) func(*settler, *App, value) error {
	return func(_ *settler, a *App, v value) error {
		n, ok := number(v)
		if !ok {
			return wrongType{}
		}
		return setDuration(at(a), n)
	}
}

var span = regexp.MustCompile(`^(\d{1,12})([hms])$`)

func setSpan(at func(*App) *Duration) func(*settler, *App, value) error {
	return func(_ *settler, a *App, v value) error {
		if n, ok := number(v); ok {
			return setDuration(at(a), n)
		}
		s, _ := v.(string)
		m := span.FindStringSubmatch(s)
		if m == nil {
			return wrongType{}
		}
		n, _ := strconv.ParseFloat(m[1], 64) // digits
		return setDuration(at(a), n*map[string]float64{"h": 3600e3, "m": 60e3, "s": 1e3}[m[2]])
	}
}

func setDuration(d *Duration, millis float64) error {
	if !(millis >= 0 && millis <= maxMillis) {
		return fmt.Errorf("must be between 0 and %d milliseconds", maxMillis)
	}
	*d = milliseconds(int64(millis))
	return nil
}

// number reads a number, also one that stands as text.
func number(v value) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, v == v
	case string:
		n, err := parseNumber(strings.TrimSpace(v))
		return n, err == nil && n == n
	}
	return 0, false
}

// parseNumber reads a decimal, hexadecimal, octal or binary number.
func parseNumber(text string) (float64, error) {
	text = strings.ReplaceAll(text, "_", "")
	if len(text) > 1 && text[0] == '0' && strings.Contains("xXoObB", text[1:2]) {
		n, err := strconv.ParseUint(text, 0, 64)
		return float64(n), err
	}
	if strings.ContainsAny(text, "pPxXiInN") { // Go would take these
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(text, 64)
}

// whole reads a number and cuts what stands behind the point.
func whole(v value, atMost float64) (int, error) {
	n, ok := number(v)
	if !ok {
		return 0, wrongType{}
	}
	if n < -atMost || n > atMost {
		return 0, fmt.Errorf("must not be beyond %s", numberText(atMost))
	}
	return int(n), nil
}

func (s *settler) setInterpreter(a *App, v value) error {
	text, ok := v.(string)
	if !ok {
		return wrongType{}
	}
	a.Interpreter = text
	return nil
}

// setInstances takes a number or max. Other text counts as 0, as in PM2.
func (s *settler) setInstances(a *App, v value) (err error) {
	s.instances = true
	if text, ok := v.(string); ok {
		n, isNumber := number(v)
		if !isNumber {
			if text != "max" && text != "" {
				s.notice(a, fmt.Sprintf("instances %q is no number: it counts as max", text))
			}
			n = 0
		}
		v = n
	}
	a.Instances, err = whole(v, maxInstances)
	return err
}

func (s *settler) setMode(a *App, v value) error {
	text, ok := v.(string)
	if !ok {
		return wrongType{}
	}
	switch text {
	case "cluster", "cluster_mode":
		a.ExecMode = Cluster
	case "fork", "fork_mode":
		a.ExecMode = Fork
	default:
		return fmt.Errorf("must be cluster or fork, not %q", text)
	}
	s.mode = true
	return nil
}

func (s *settler) setPort(a *App, v value) (err error) {
	a.Port, err = whole(v, 65535)
	return err
}

func (s *settler) setFilter(a *App, v value) (err error) {
	if all, ok := v.(bool); ok {
		if all {
			a.FilterEnv = []string{""}
		}
		return nil
	}
	a.FilterEnv, err = words(v)
	return err
}

func (s *settler) setExitCodes(a *App, v value) error {
	list, ok := v.([]value)
	if text, isText := v.(string); isText {
		for _, w := range split(text) {
			list = append(list, w)
		}
		ok = true
	}
	if !ok {
		list = []value{v}
	}
	a.StopExitCodes = nil
	for _, e := range list {
		code, err := whole(e, 255)
		if err != nil {
			return err
		}
		a.StopExitCodes = append(a.StopExitCodes, code)
	}
	return nil
}

func (s *settler) setMaxRestarts(a *App, v value) (err error) {
	a.MaxRestarts, err = whole(v, maxRestarts)
	return err
}

var size = regexp.MustCompile(`^(\d{1,15})([KMGkmg])$`)

func (s *settler) setMemory(a *App, v value) error {
	n, ok := number(v)
	if !ok {
		text, _ := v.(string)
		m := size.FindStringSubmatch(text)
		if m == nil {
			return wrongType{}
		}
		n, _ = strconv.ParseFloat(m[1], 64) // digits
		n *= map[string]float64{"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[strings.ToUpper(m[2])]
	}
	if !(n >= 0 && n < 1<<60) {
		return errors.New("must be a size in bytes")
	}
	a.MaxMemoryRestart = int64(n)
	return nil
}

// setWatch takes true, a path or paths, relative to the working directory.
func (s *settler) setWatch(a *App, v value) (err error) {
	switch v := v.(type) {
	case bool:
		if v {
			a.Watch = []string{"."}
		}
	case string:
		a.Watch = []string{v}
	default:
		a.Watch, err = words(v)
	}
	return err
}

func (s *settler) setIgnore(a *App, v value) error {
	list, ok := v.([]value)
	if text, isText := v.(string); isText {
		for _, w := range split(text) {
			list = append(list, w)
		}
		ok = true
	}
	if _, isRegexp := regexpOf(v); isRegexp {
		list, ok = []value{v}, true
	}
	if !ok {
		return wrongType{}
	}
	a.IgnoreWatch = nil
	for _, e := range list {
		p, err := pattern(e)
		if err != nil {
			return err
		}
		a.IgnoreWatch = append(a.IgnoreWatch, p)
	}
	return nil
}

func pattern(v value) (Pattern, error) {
	if e, ok := regexpOf(v); ok {
		return Expression(*e.Source, e.Flags)
	}
	text, ok := v.(string)
	if !ok {
		return Pattern{}, wrongType{}
	}
	return Glob(text)
}

// regexpOf reads a regular expression in the form that evaluate.cjs gives it.
func regexpOf(v value) (taggedRegexp, bool) {
	o, ok := v.(*object)
	if !ok {
		return taggedRegexp{}, false
	}
	source, ok := o.values["$regexp"].(string)
	flags, _ := o.values["flags"].(string)
	return taggedRegexp{Source: &source, Flags: flags}, ok
}

func (s *settler) setWatchOptions(a *App, v value) error {
	o, ok := v.(*object)
	if !ok {
		return wrongType{}
	}
	a.WatchOptions, _ = plain(o).(map[string]any)
	return nil
}

func (s *settler) setCron(a *App, v value) error {
	switch v := v.(type) {
	case string:
		a.CronRestart = v
	case float64:
		if v != 0 {
			return wrongType{}
		}
		a.CronRestart = ""
	case bool:
		if v {
			return wrongType{}
		}
		a.CronRestart = ""
	default:
		return wrongType{}
	}
	if a.CronRestart == "0" {
		a.CronRestart = ""
	}
	return nil
}

func (s *settler) setLogFile(a *App, v value) error {
	switch v := v.(type) {
	case bool:
		s.logFile = v
	case string:
		a.LogFile = v
	default:
		return wrongType{}
	}
	return nil
}

func (s *settler) setMerge(a *App, v value) error {
	s.merge = true
	return setBool(func(a *App) *bool { return &a.MergeLogs })(s, a, v)
}

// setTime is the date of `time: true`. It wins over log_date_format, which is set before, as in PM2.
func (s *settler) setTime(a *App, v value) error {
	on, ok := v.(bool)
	if !ok {
		return wrongType{}
	}
	if on {
		a.LogDateFormat = TimeFormat
	}
	return nil
}

func (s *settler) setAppend(_ *App, v value) error {
	on, ok := v.(bool)
	if !ok {
		return wrongType{}
	}
	s.append = on
	return nil
}
