package daemon

import (
	"bytes"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// The names of the streams.
const (
	streamOut = "out"
	streamErr = "err"
)

// source is who writes lines.
type source struct {
	id   int
	name string
}

// sink takes one stream of one process of the list to where it goes: its file, the file of both,
// and whoever follows.
type sink struct {
	from   source
	stream string
	file   *logfile.File          // nil: none
	both   *logfile.File          // nil: none
	also   func([]byte)           // nil: nobody
	date   func(time.Time) string // nil: none
	json   bool
	follow *followers
}

// newSink makes the sink of a stream of a process.
func newSink(from source, stream string, a *pm2.App, file, both *logfile.File, follow *followers) *sink {
	s := &sink{from: from, stream: stream, file: file, both: both, json: a.LogType == "json", follow: follow}
	if a.LogDateFormat != "" {
		s.date = func(t time.Time) string { return pm2.FormatDate(a.LogDateFormat, t) }
	}
	return s
}

// Write takes whole lines, or a piece of one (supervisor.Spec).
func (s *sink) Write(b []byte) (int, error) {
	now := time.Now()
	s.follow.metrics.wrote(len(b))
	s.follow.publish(s, b, now)
	if s.file == nil && s.both == nil && s.also == nil {
		return len(b), nil
	}
	out := b
	if s.json || s.date != nil {
		out = s.dress(b, now)
	}
	for _, w := range []*logfile.File{s.file, s.both} {
		if w != nil {
			_, _ = w.Write(out) // it says itself what it loses
		}
	}
	if s.also != nil {
		s.also(out)
	}
	return len(b), nil
}

// dress puts what the app wants before each line, or makes objects of them.
func (s *sink) dress(b []byte, now time.Time) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(b) {
		if s.json {
			s.object(&out, bytes.TrimRight(line, "\r\n"), now)
			continue
		}
		out.WriteString(s.date(now))
		out.WriteString(": ")
		out.Write(line)
	}
	return out.Bytes()
}

// isoDate is the format of JavaScript's toISOString.
const isoDate = "2006-01-02T15:04:05.000Z07:00"

// object writes a line as PM2's log_type "json" has it.
func (s *sink) object(out *bytes.Buffer, line []byte, now time.Time) {
	o := struct {
		Message   string `json:"message"`
		Timestamp string `json:"timestamp,omitempty"`
		Type      string `json:"type"`
		ProcessID int    `json:"process_id"`
		AppName   string `json:"app_name"`
	}{Message: string(line) + "\n", Type: s.stream, ProcessID: s.from.id, AppName: s.from.name}
	if s.date != nil {
		o.Timestamp = s.date(now)
	} else {
		o.Timestamp = now.UTC().Format(isoDate)
	}
	raw, err := json.Marshal(o)
	if err == nil {
		out.Write(append(raw, '\n'))
	}
}

// maxFollowed is how many lines wait for a command that follows; more are dropped, and counted.
const maxFollowed = 4096

// maxFollowedLine bounds what one of these may hold, maxFollowedBytes what all of them may: a
// command that is suspended reads nothing, and an app may write long lines.
const (
	maxFollowedLine  = 16 << 10
	maxFollowedBytes = 4 << 20
)

// followers are the commands that want to see lines as they come.
type followers struct {
	metrics *Metrics // nil: nobody counts

	count atomic.Int32 // of all, so that nobody pays for none

	mu  sync.Mutex // guards all
	all map[*follower]bool
}

// follower is one of them, with what waits for it.
type follower struct {
	wants func(source, string) bool
	*outbox[LogLine]
}

func (fs *followers) add(wants func(source, string) bool) *follower {
	f := &follower{wants, newOutbox[LogLine](maxFollowed, maxFollowedBytes)}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.all[f] = true
	fs.count.Add(1)
	return f
}

func (fs *followers) remove(f *follower) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.all, f)
	fs.count.Add(-1)
}

// publish gives lines to all who want them, without waiting for anybody.
func (fs *followers) publish(s *sink, b []byte, now time.Time) {
	if fs.count.Load() == 0 {
		return
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for f := range fs.all {
		if !f.wants(s.from, s.stream) {
			continue
		}
		for line := range bytes.Lines(b) {
			line = bytes.TrimRight(line, "\r\n")
			line = line[:min(len(line), maxFollowedLine)]
			took := f.offer(len(line), func(dropped int64) LogLine {
				return LogLine{ID: s.from.id, Name: s.from.name, Stream: s.stream, Time: now, Text: string(line), Dropped: dropped}
			})
			if !took {
				fs.metrics.skip()
			}
		}
	}
}
