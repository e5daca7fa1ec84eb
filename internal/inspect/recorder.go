package inspect

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of a Recorder.
const (
	mostEnded      = 2048
	mostEndedBytes = 384 << 10
	mostRefused    = 256
	mostRefusedB   = 32 << 10
	mostSockets    = 8
	mostDetail     = 200 // bytes of Ended.Detail
	mostName       = 100 // bytes of any other text
)

// Recorder is the flight recorder: it keeps the last sessions that ended in a process, and the last
// requests that the process refused. It takes at most 512 KB. Its methods may be called
// concurrently.
type Recorder struct {
	ended, refused records
}

// NewRecorder returns an empty Recorder. It grows with its records.
func NewRecorder() *Recorder {
	return &Recorder{records{most: mostEnded, mostBytes: mostEndedBytes}, records{most: mostRefused, mostBytes: mostRefusedB}}
}

// Add records the end of a session. The record has no Process: a Recorder belongs to one.
func (r *Recorder) Add(e *Ended) { r.ended.add(e.pack()) }

// Refuse records a request that was refused. Refused requests don't replace ended sessions, so
// that a client that is refused again and again can't.
func (r *Recorder) Refuse(e *Ended) { r.refused.add(e.pack()) }

// Page returns the records of p that q selects, the newest first.
func (r *Recorder) Page(p Process, q Query) Page[Ended] {
	var page Page[Ended]
	if q.Worker != "" && q.Worker != p.Worker {
		return page
	}
	for _, packed := range slices.Concat(r.ended.all(), r.refused.all()) {
		e := unpackEnded(packed)
		if !e.selected(q) {
			continue
		}
		e.Process, e.SID = p, ShownSID(e.SID)
		page.Rows = append(page.Rows, e)
	}
	return EndedPage(q, page.Rows, page.More)
}

// EndedPage sorts records, the newest first, which changes rows, and cuts the page. More rows exist
// elsewhere.
func EndedPage(q Query, rows []Ended, more int) Page[Ended] {
	return newestFirst(q, Page[Ended]{rows, more}, func(e Ended) time.Time { return e.At })
}

// Save returns the records, for Restore in another process.
func (r *Recorder) Save(p Process) ([]byte, error) {
	s := saved{p, make([][][]byte, 2)}
	for i, from := range []*records{&r.ended, &r.refused} {
		for _, packed := range from.all() {
			s.Records[i] = append(s.Records[i], []byte(packed))
		}
	}
	return json.Marshal(s)
}

// Restore returns the records of another process, and whose they are.
func Restore(raw []byte) (r *Recorder, p Process, err error) {
	var s saved
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, p, err
	}
	r = NewRecorder()
	for i, to := range []*records{&r.ended, &r.refused} {
		if i < len(s.Records) {
			for _, packed := range s.Records[i] {
				to.add(string(packed))
			}
		}
	}
	return r, s.Process, nil
}

// saved are records on their way to another process. A packed record isn't text.
type saved struct {
	Process Process
	Records [][][]byte
}

func (e *Ended) selected(q Query) bool {
	return q.MatchesID(append(slices.Clip(e.Sockets), e.SID)...) && q.MatchesAddress(e.Address) &&
		(q.Namespace == "" || slices.Contains(e.Namespaces, q.Namespace)) &&
		(q.Text == "" || strings.Contains(strings.Join(append(slices.Clip(e.Sockets), e.SID, e.Address, e.Reason, e.Detail), "\n"), q.Text))
}

// records are the last packed records, within bounds.
type records struct {
	most, mostBytes int

	mu    sync.Mutex
	list  []string // the oldest first, from first on
	first int
	bytes int // of list[first:]
}

func (r *records) add(packed string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.first < len(r.list) && (len(r.list)-r.first >= r.most || r.bytes+len(packed) > r.mostBytes) {
		r.bytes -= len(r.list[r.first])
		r.list[r.first] = ""
		r.first++
	}
	if r.first > 0 && r.first >= len(r.list)/2 { // half of the places are free
		n := copy(r.list, r.list[r.first:])
		clear(r.list[n:])
		r.list, r.first = r.list[:n], 0
	}
	r.list = append(r.list, packed)
	r.bytes += len(packed)
}

func (r *records) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list[r.first:])
}

// packer writes or reads the fields of a record, one after the other. A record takes a third of its
// JSON.
type packer struct {
	reading bool
	b       []byte
}

func (p *packer) number(n *int64) {
	if !p.reading {
		p.b = binary.AppendVarint(p.b, *n)
		return
	}
	v, size := binary.Varint(p.b)
	*n, p.b = v, p.b[max(size, 0):]
}

func (p *packer) time(t *time.Time) {
	var ms int64 // 0: none
	if !t.IsZero() {
		ms = t.UnixMilli()
	}
	p.number(&ms)
	if p.reading && ms != 0 {
		*t = time.UnixMilli(ms)
	}
}

func (p *packer) text(s *string, most int) {
	if !p.reading {
		*s = cutText(*s, most)
	}
	n := int64(len(*s))
	p.number(&n)
	if !p.reading {
		p.b = append(p.b, *s...)
		return
	}
	n = max(0, min(n, int64(len(p.b))))
	*s, p.b = string(p.b[:n]), p.b[n:]
}

func (p *packer) texts(list *[]string) {
	if !p.reading && len(*list) > mostSockets {
		*list = (*list)[:mostSockets]
	}
	n := int64(len(*list))
	p.number(&n)
	if p.reading && n > 0 {
		*list = make([]string, min(n, mostSockets))
	}
	for i := range *list {
		p.text(&(*list)[i], mostName)
	}
}

func (p *packer) integer(n *int) {
	v := int64(*n)
	p.number(&v)
	*n = int(v)
}

func (p *packer) flag(b *bool) {
	var v int64
	if *b {
		v = 1
	}
	p.number(&v)
	*b = v != 0
}

// fields packs or unpacks all fields but Process.
func (e *Ended) fields(p *packer) {
	for _, s := range []*string{&e.SID, &e.Address, &e.Router, &e.Transport, &e.Reason, &e.By, &e.Limit, &e.Sending, &e.Handler} {
		p.text(s, mostName)
	}
	p.text(&e.Detail, mostDetail)
	p.texts(&e.Sockets)
	p.texts(&e.Namespaces)
	for _, t := range []*time.Time{&e.Opened, &e.At, &e.PingSent, &e.PongSeen, &e.LastHeard, &e.LastSent} {
		p.time(t)
	}
	p.number(&e.Queue)
	p.number((*int64)(&e.HandlerRuns))
	for _, n := range []*int{&e.CloseCode, &e.Unacked, &e.Retransmits} {
		p.integer(n)
	}
	p.flag(&e.Alive)
}

func (e *Ended) pack() string {
	one := *e
	one.Sockets, one.Namespaces = slices.Clone(e.Sockets), slices.Clone(e.Namespaces) // they may be cut
	p := packer{b: make([]byte, 0, 256)}
	one.fields(&p)
	return string(p.b)
}

func unpackEnded(packed string) (e Ended) {
	e.fields(&packer{reading: true, b: []byte(packed)})
	return e
}

// cutText cuts a text to most bytes, at the end of a character.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}
