package daemon

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/sidereal-io/sidereal/internal/logfile"
)

// daemonLog is the source of the daemon's own lines.
var daemonLog = source{id: -1, name: "sidereal"}

// serveLogs sends the last lines of log files, and then those that come.
func (d *Daemon) serveLogs(w http.ResponseWriter, r *http.Request) {
	var req LogRequest
	if !read(w, r, &req) {
		return
	}
	if !req.Out && !req.Err {
		req.Out, req.Err = true, true
	}
	wants, entries, err := d.wanted(req)
	if err != nil {
		refuse(w, err)
		return
	}
	var f *follower
	if req.Follow { // before the past is read: a line may come twice, and none is missed
		f = d.follow.add(wants)
		defer d.follow.remove(f)
	}
	out := json.NewEncoder(w)
	d.past(req, entries, func(l LogLine) {
		if err == nil {
			err = out.Encode(l)
		}
	})
	w.(http.Flusher).Flush()
	if f == nil || err != nil { // the command has gone
		return
	}
	for {
		select {
		case l := <-f.lines:
			err := out.Encode(f.taken(l))
			for more := true; more && err == nil; { // all that is there goes out at once
				select {
				case l := <-f.lines:
					err = out.Encode(f.taken(l))
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
func (d *Daemon) wanted(req LogRequest) (wants func(source, string) bool, entries []*entry, err error) {
	stream := func(s string) bool { return s == streamOut && req.Out || s == streamErr && req.Err }
	if len(req.Targets) == 0 {
		d.do(func(b *book) { entries = byID(b.entries) })
		return func(_ source, s string) bool { return stream(s) }, entries, nil
	}
	entries, missing, err := d.targets(req.Targets)
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
		d.do(func(b *book) { meant = append(meant, b.sources(t)) })
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
func (d *Daemon) past(req LogRequest, entries []*entry, send func(LogLine)) {
	seen := map[*logfile.File]bool{}
	each := func(from source, stream string, path string) {
		for _, line := range logfile.Tail(path, req.Lines) {
			send(LogLine{ID: from.id, Name: from.name, Stream: stream, Text: line, File: path})
		}
	}
	if len(req.Targets) == 0 && req.Err {
		each(daemonLog, streamErr, d.cfg.Home.Log())
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
