package dashboard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// problem is something that is wrong right now, in plain words.
type problem struct {
	ID     string `json:"id"` // the same while the problem lasts
	Urgent bool   `json:"urgent"`
	Text   string `json:"text"`
	Doc    string `json:"doc"` // the heading of docs/dashboard.md that explains it
}

// report is what a host says about itself.
type report struct{ host, text string }

// Bounds of what is normal.
const (
	recently     = 10 * time.Minute // a restart is worth a line for so long
	oftenWithin  = 5                // restarts of one place that are many
	fullerBy     = 1.5              // sessions per worker of a host, over the mean of the others
	fullerLeast  = 100              // sessions per worker beyond that mean
	relayedShare = .5               // of the WebSockets
	relayedLeast = 100              // WebSockets
	errorsShare  = .01              // of the events
	errorsLeast  = 0.1              // a second
	queueLeast   = 4 << 20          // bytes of a worker
	queueGrowth  = 1.5              // within the span
	slowLoop     = 200.0            // ms
	slowRedis    = 100.0            // ms
	maxProblems  = 50
)

// problems says what is wrong, the urgent first.
func problems(v *view, reports []report, missing error, prior memory) []problem {
	found := []problem{}
	add := func(urgent bool, doc, about, format string, args ...any) {
		found = append(found, problem{ID: doc + " " + about, Urgent: urgent, Text: fmt.Sprintf(format, args...), Doc: doc})
	}
	if missing != nil {
		add(false, "a-host-doesnt-answer", "", "Not everybody answered, so figures may be too low: %s.", clipped(missing.Error()))
	}
	redisProblems(v, add)
	for in, l := range prior.lost {
		add(true, "a-worker-is-lost", in.host+in.name, "%s on %s (pid %d) is gone, and nothing has taken its place for %s.",
			in.name, in.host, l.process.PID, age(v.At.Sub(l.since)+lostAfter))
	}
	for i := range v.Processes {
		processProblems(v, &v.Processes[i], add)
	}
	hostProblems(v, add)
	said := map[string][]string{} // hosts by what they say: all know of settings that differ
	for _, r := range reports {
		said[r.text] = append(said[r.text], r.host)
	}
	for text, hosts := range said {
		by := ""
		if len(hosts) == 1 {
			by = hosts[0] + ": "
		}
		add(true, "settings-differ", text, "%s%s.", by, clipped(strings.TrimSuffix(text, ".")))
	}
	t := &v.Total
	if open := t.Sessions - t.Polling; t.Relayed >= relayedLeast && open > 0 && float64(t.Relayed)/float64(open) > relayedShare {
		add(false, "many-websockets-are-relayed", "", "Routers relay %.0f %% of the WebSockets, because they use TLS or their worker is on another host.",
			100*min(1, float64(t.Relayed)/float64(open)))
	}
	if t.Errors >= errorsLeast && t.Errors > errorsShare*t.EventsIn {
		add(true, "handlers-fail", "", "Handlers return %.1f errors a second, for %.1f events a second.", t.Errors, t.EventsIn)
	}
	slices.SortStableFunc(found, func(a, b problem) int {
		if a.Urgent != b.Urgent {
			if a.Urgent {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return found[:min(len(found), maxProblems)]
}

// redisProblems has one line for all that have lost Redis, and one for a slow one.
func redisProblems(v *view, add func(bool, string, string, string, ...any)) {
	var away []string
	uses := 0
	for i := range v.Processes {
		if p := &v.Processes[i]; p.UsesRedis {
			uses++
			if !p.RedisUp {
				away = append(away, p.Name+" on "+p.Host)
			}
		}
	}
	switch {
	case len(away) > 0 && len(away) == uses:
		add(true, "redis-is-away", "", "Redis doesn't answer. Sessions go on, but hosts can't hear each other.")
	case len(away) > 0:
		add(true, "redis-is-away", "", "Redis doesn't answer %s.", some(away, 3))
	case v.Total.Redis >= slowRedis:
		add(false, "redis-is-slow", "", "Redis takes %.0f ms for an answer.", v.Total.Redis)
	}
}

// processProblems looks at one process.
func processProblems(v *view, p *process, add func(bool, string, string, string, ...any)) {
	name := p.Name + " on " + p.Host
	since := v.At.Sub(p.Started)
	switch {
	case p.State == "errored":
		add(true, "a-process-was-given-up", name, "%s was given up after %s: %s.", name, count(p.Restarts, "restart"), cmp.Or(clipped(p.LastEnd), "no reason is known"))
	case p.State == "stopped":
		add(false, "a-process-is-stopped", name, "%s is stopped.", name)
	case p.State == "waiting":
		add(true, "a-worker-is-lost", name, "%s has ended (%s) and starts again in a moment.", name, cmp.Or(clipped(p.LastEnd), "no reason is known"))
	case p.Restarts >= oftenWithin && since < recently:
		add(true, "a-process-restarts-often", name, "%s has restarted %s, last %s ago: %s.", name, times(p.Restarts), age(since), cmp.Or(clipped(p.LastEnd), "no reason is known"))
	case p.Restarts > 0 && since < recently:
		add(false, "a-process-has-restarted", name, "%s restarted %s ago: %s.", name, age(since), cmp.Or(clipped(p.LastEnd), "no reason is known"))
	}
	if p.QueueBytes >= queueLeast && p.Measured && float64(p.QueueBytes) > queueGrowth*float64(p.queueAtFst) {
		add(true, "a-queue-grows", name, "%s sends slower than it should: %s wait for clients, and it grows.", name, size(p.QueueBytes))
	}
	if p.Failures > 0 {
		add(true, "a-router-answers-503", name, "%s answers %.1f requests a second with 502, 503 or 504.", name, p.Failures)
	}
	if p.LoopDelay != nil && *p.LoopDelay >= slowLoop {
		add(true, "an-event-loop-is-blocked", name, "The event loop of %s is blocked for up to %.0f ms.", name, *p.LoopDelay)
	}
}

// hostProblems finds hosts that are much fuller than the others.
func hostProblems(v *view, add func(bool, string, string, string, ...any)) {
	for i := range v.Hosts {
		h := &v.Hosts[i]
		others, workers := 0, 0
		for j := range v.Hosts {
			if j != i {
				others += v.Hosts[j].Sessions
				workers += v.Hosts[j].Ready
			}
		}
		switch {
		case h.Workers > 0 && h.Ready == 0:
			add(true, "a-host-has-no-ready-worker", h.Name, "%s has no ready worker.", h.Name)
		case h.Ready > 0 && workers > 0:
			mine, mean := float64(h.Sessions)/float64(h.Ready), float64(others)/float64(workers)
			if mine > fullerBy*mean && mine-mean >= fullerLeast {
				add(false, "a-host-is-fuller-than-others", h.Name, "%s has %.0f sessions per worker, the other hosts %.0f.", h.Name, mine, mean)
			}
		}
	}
}

// some names the first of a list.
func some(list []string, most int) string {
	if more := len(list) - most; more > 0 {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(list, ", ")
}

func count(n int, of string) string {
	if n != 1 {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// age is a duration for people.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return count(max(int(d.Seconds()), 0), "second")
	case d < time.Hour:
		return count(int(d.Minutes()), "minute")
	}
	return count(int(d.Hours()), "hour")
}

// size is a number of bytes for people.
func size(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KB", n>>10)
}

// maxReason bounds a text that a process says about itself.
const maxReason = 200

func clipped(text string) string {
	if r := []rune(text); len(r) > maxReason {
		return string(r[:maxReason]) + "…"
	}
	return text
}
