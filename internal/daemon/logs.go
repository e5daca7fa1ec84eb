package daemon

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// daemonLog is the source of the daemon's own lines.
var daemonLog = source{id: -1, name: "sidereal"}

// logs are the log files of the processes, and those who follow them.
type logs struct {
	*registry
	cfg     *Config
	set     *logfile.Set
	readers followers
	print   func(place string, lines []byte) // in the foreground
}

func newLogs(r *registry, cfg *Config, m *Metrics) *logs {
	l := &logs{registry: r, cfg: cfg, set: logfile.NewSet(RotationOf(cfg.Settings.LogFiles), cfg.Log, m.lose)}
	l.readers.all, l.readers.metrics = map[*follower]bool{}, m
	return l
}

// open opens the log files of a process as PM2 names them.
func (l *logs) open(e *entry, a *pm2.App) {
	open := func(set, kind string) *logfile.File {
		path := set
		if path == "" && kind != "" {
			path = filepath.Join(l.cfg.Home.Logs(), pm2.FileName(a.Name)+"-"+kind+".log")
		}
		if path == "" || path == pm2.LogOff || a.DisableLogs || l.cfg.NoFiles {
			return nil
		}
		if !a.MergeLogs {
			path = numbered(path, e.id)
		}
		file := l.set.Use(path)
		e.files = append(e.files, file)
		return file
	}
	from := source{e.id, a.Name}
	both := open(a.LogFile, "")
	e.out = newSink(from, streamOut, a, open(a.OutFile, "out"), both, &l.readers)
	e.err = newSink(from, streamErr, a, open(a.ErrorFile, "error"), both, &l.readers)
	switch {
	case l.cfg.Lines != nil:
		e.out.also, e.err.also = l.linesOf(e.out), l.linesOf(e.err)
	case l.cfg.Output != nil:
		also := func(lines []byte) { l.print(e.place, lines) }
		e.out.also, e.err.also = also, also
	}
}

// linesOf returns what gives a stream's lines to Config.Lines.
func (l *logs) linesOf(s *sink) func([]byte) {
	return func(lines []byte) {
		now := time.Now()
		for line := range bytes.Lines(lines) {
			l.cfg.Lines(LogLine{ID: s.from.id, Name: s.from.name, Stream: s.stream, Time: now, Text: string(bytes.TrimRight(line, "\r\n"))})
		}
	}
}

// serve sends the last lines of log files, and then those that come.
func (l *logs) serve(w http.ResponseWriter, r *http.Request) {
	var req LogRequest
	if !read(w, r, &req) {
		return
	}
	if !req.Out && !req.Err {
		req.Out, req.Err = true, true
	}
	wants, entries, err := l.wanted(req)
	if err != nil {
		refuse(w, err)
		return
	}
	var f *follower
	if req.Follow { // before the past is read: a line may come twice, and none is missed
		f = l.readers.add(wants)
		defer l.readers.remove(f)
	}
	out := json.NewEncoder(w)
	l.past(req, entries, func(line LogLine) {
		if err == nil {
			err = out.Encode(line)
		}
	})
	w.(http.Flusher).Flush()
	if f == nil || err != nil { // the command has gone
		return
	}
	for {
		select {
		case line := <-f.items:
			f.taken(len(line.Text))
			err := out.Encode(line)
			for more := true; more && err == nil; { // all that is there goes out at once
				select {
				case line := <-f.items:
					f.taken(len(line.Text))
					err = out.Encode(line)
				default:
					more = false
				}
			}
			if err != nil {
				return
			}
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// wanted tells whose lines a request is about. Processes that come to an app or a name later are
// among them.
func (l *logs) wanted(req LogRequest) (wants func(source, string) bool, entries []*entry, err error) {
	stream := func(s string) bool { return s == streamOut && req.Out || s == streamErr && req.Err }
	if len(req.Targets) == 0 {
		l.do(func(b *book) { entries = byID(b.entries) })
		return func(_ source, s string) bool { return stream(s) }, entries, nil
	}
	entries, missing, err := l.targets(req.Targets)
	if len(missing) > 0 {
		err = joined(missing)
	}
	if err != nil {
		return nil, nil, err
	}
	var meant []func(source) bool
	for _, text := range req.Targets {
		t, err := parseTarget(text)
		if err != nil {
			return nil, nil, err
		}
		l.do(func(b *book) { meant = append(meant, b.sources(t)) })
	}
	return func(from source, s string) bool {
		return stream(s) && slices.ContainsFunc(meant, func(means func(source) bool) bool { return means(from) })
	}, entries, nil
}

// sources tells whose lines a target means, now and later.
func (b *book) sources(t target) func(source) bool {
	if t.text == "all" {
		return func(from source) bool { return from != daemonLog }
	}
	if t.expr != nil {
		return func(from source) bool { return from != daemonLog && t.expr.MatchString(from.name) }
	}
	if id, err := strconv.Atoi(t.text); err == nil && b.entries[id] != nil {
		return func(from source) bool { return from.id == id }
	}
	names := map[string]bool{}
	for _, e := range b.chosen(t) {
		names[e.app.name] = true
	}
	return func(from source) bool { return from != daemonLog && names[from.name] }
}

// past sends the last lines of the files, each file once.
func (l *logs) past(req LogRequest, entries []*entry, send func(LogLine)) {
	seen := map[*logfile.File]bool{}
	each := func(from source, stream string, path string) {
		for _, line := range logfile.Tail(path, req.Lines) {
			send(LogLine{ID: from.id, Name: from.name, Stream: stream, Text: line, File: path})
		}
	}
	if len(req.Targets) == 0 && req.Err {
		each(daemonLog, streamErr, l.cfg.Home.Log())
	}
	for _, s := range []struct {
		wanted bool
		of     func(*entry) *sink
	}{{req.Out, func(e *entry) *sink { return e.out }}, {req.Err, func(e *entry) *sink { return e.err }}} {
		for _, e := range entries {
			sink := s.of(e)
			if !s.wanted || sink.file == nil || seen[sink.file] {
				continue
			}
			seen[sink.file] = true
			each(sink.from, sink.stream, sink.file.Path())
		}
	}
}
