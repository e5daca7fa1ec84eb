package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Verbs of actions.
const (
	Drain      = "drain"      // a worker, or all of a host: its clients leave, and it stays stopped
	Start      = "start"      // what was drained
	Reload     = "reload"     // a worker, or all of a host, without a gap
	Rebalance  = "rebalance"  // sessions between hosts
	Disconnect = "disconnect" // a client
	Emit       = "emit"       // a test event
)

// Action is what an operator asks for.
type Action struct {
	Do        string          `json:"do"`            // a verb
	App       string          `json:"app,omitempty"` // of Rebalance, Disconnect and Emit; empty: all of the host
	Host      string          `json:"host,omitempty"`
	Process   string          `json:"process,omitempty"`   // empty: all workers of the host
	Namespace string          `json:"namespace,omitempty"` // of Disconnect and Emit
	Socket    string          `json:"socket,omitempty"`    // a socket's id
	Room      string          `json:"room,omitempty"`      // of Emit; empty with an empty Socket: the whole namespace
	Event     string          `json:"event,omitempty"`
	Args      json.RawMessage `json:"args,omitempty"` // a JSON array
	By        string          `json:"by,omitempty"`   // who asks, as he says himself
}

// Actor carries out actions.
type Actor interface {
	// Verbs lists what the actor can do.
	Verbs() []string
	// Do carries an action out, and says what has happened. It returns when that has ended.
	Do(ctx context.Context, a Action) (result string, err error)
}

const (
	maxBody    = 16 << 10
	maxRunning = 8               // actions at a time; others get 503
	maxRecords = 20              // of the last actions
	answerIn   = 3 * time.Second // an action that takes longer is answered with 202
	maxName    = 64              // bytes of By
)

// job is an action under way.
type job struct {
	Action
	id     int64
	from   string
	result chan outcome // has room for one
}

type outcome struct {
	text string
	err  error
}

// record is one of the last actions, as pages show it.
type record struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	By     string    `json:"by,omitempty"`
	From   string    `json:"from"`
	State  string    `json:"state"` // running, done, failed
	Result string    `json:"result,omitempty"`
}

func (d *Dashboard) verbs() []string {
	if d.cfg.Actor == nil {
		return []string{}
	}
	return d.cfg.Actor.Verbs()
}

// act takes an action.
func (d *Dashboard) act(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, text string) {
		d.cfg.Log.Warn("dashboard: action refused", "from", r.RemoteAddr, "status", status, "reason", text)
		respond(w, status, map[string]string{"error": text})
	}
	if no := d.guard.check(r); no != nil {
		refuse(no.status, no.text)
		return
	}
	var a Action
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	in.DisallowUnknownFields()
	if err := in.Decode(&a); err != nil {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			refuse(http.StatusRequestEntityTooLarge, "the action is too long")
			return
		}
		refuse(http.StatusBadRequest, "the action can't be read")
		return
	}
	if a.Do == "" { // a page tries its key
		respond(w, http.StatusOK, map[string]string{"result": "the key is right"})
		return
	}
	if err := a.validate(d.verbs()); err != nil {
		refuse(http.StatusBadRequest, err.Error())
		return
	}
	j, ok := d.begin(a, r.RemoteAddr)
	if !ok {
		w.Header().Set("Retry-After", "5")
		refuse(http.StatusServiceUnavailable, "too many actions are under way")
		return
	}
	select {
	case d.jobs <- j:
	case <-r.Context().Done():
		d.end(j, outcome{err: r.Context().Err()})
		return
	}
	late := time.NewTimer(answerIn)
	defer late.Stop()
	select {
	case o := <-j.result:
		if o.err != nil {
			respond(w, http.StatusConflict, map[string]string{"error": o.err.Error()})
			return
		}
		respond(w, http.StatusOK, map[string]string{"result": o.text})
	case <-late.C:
		respond(w, http.StatusAccepted, map[string]string{"result": "under way"})
	case <-r.Context().Done(): // the action goes on
	}
}

// validate checks an action before anybody is asked to do it.
func (a *Action) validate(verbs []string) error {
	if !slices.Contains(verbs, a.Do) {
		return errors.New("this host can't do that")
	}
	if a.Namespace == "" {
		a.Namespace = "/"
	}
	for _, text := range []string{a.App, a.Host, a.Process, a.Namespace, a.Socket, a.Room, a.Event} {
		if len(text) > maxValue {
			return errors.New("a name is too long")
		}
	}
	if len(a.By) > maxName || strings.ContainsFunc(a.By, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("by has at most 64 printable characters")
	}
	switch a.Do {
	case Drain, Start, Reload:
		if a.Host == "" {
			return errors.New("host is missing")
		}
	case Disconnect:
		if a.Socket == "" {
			return errors.New("socket is missing")
		}
	case Emit:
		var args []json.RawMessage
		if a.Event == "" {
			return errors.New("event is missing")
		}
		if len(a.Args) > 0 && json.Unmarshal(a.Args, &args) != nil {
			return errors.New("args is not an array of JSON")
		}
	}
	return nil
}

// what says what an action is about, for people.
func (a *Action) what() string {
	parts := []string{a.Do}
	for _, part := range []string{a.Process, a.Host, a.Event, a.Socket, a.Room} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if a.Do == Disconnect || a.Do == Emit {
		parts = append(parts, "in "+a.Namespace)
	}
	return strings.Join(parts, " ")
}

// begin writes an action to the log and to the records, unless too many are under way.
func (d *Dashboard) begin(a Action, from string) (*job, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	running := 0
	var id int64
	for _, r := range d.records {
		id = max(id, r.ID)
		if r.State == "running" {
			running++
		}
	}
	if running >= maxRunning {
		return nil, false
	}
	j := &job{Action: a, id: id + 1, from: from, result: make(chan outcome, 1)}
	d.records = append(d.records, record{ID: j.id, At: time.Now(), What: a.what(), By: a.By, From: from, State: "running"})
	if len(d.records) > maxRecords { // fewer may run
		oldest := slices.IndexFunc(d.records, func(r record) bool { return r.State != "running" })
		d.records = slices.Delete(d.records, oldest, oldest+1)
	}
	d.cfg.Log.Info("dashboard: action begins", j.fields()...)
	return j, true
}

// carryOut has the actor do it.
func (d *Dashboard) carryOut(ctx context.Context, j *job) {
	text, err := d.cfg.Actor.Do(ctx, j.Action)
	d.end(j, outcome{text, err})
}

// end writes the result of an action to the log and to the records.
func (d *Dashboard) end(j *job, o outcome) {
	d.mu.Lock()
	for i := range d.records {
		if r := &d.records[i]; r.ID == j.id {
			if r.State, r.Result = "done", o.text; o.err != nil {
				r.State, r.Result = "failed", clipped(o.err.Error())
			}
		}
	}
	d.mu.Unlock()
	if o.err != nil {
		d.cfg.Log.Warn("dashboard: action failed", append(j.fields(), "error", o.err)...)
	} else {
		d.cfg.Log.Info("dashboard: action done", append(j.fields(), "result", o.text)...)
	}
	j.result <- o
}

// fields are the fields of an action's line in the log.
func (j *job) fields() []any {
	fields := []any{"action", j.Do, "from", j.from}
	for _, f := range []struct{ name, value string }{
		{"by", j.By}, {"app", j.App}, {"on", j.Host}, {"process", j.Process}, {"socket", j.Socket}, {"room", j.Room}, {"event", j.Event},
	} {
		if f.value != "" {
			fields = append(fields, f.name, f.value)
		}
	}
	if j.Do == Disconnect || j.Do == Emit {
		fields = append(fields, "namespace", j.Namespace)
	}
	return fields
}

func (d *Dashboard) lastRecords() []record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]record{}, d.records...)
}
