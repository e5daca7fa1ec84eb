package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

// maxValue bounds a parameter of a list.
const maxValue = 256

// queryOf reads the parameters of a list.
func queryOf(r *http.Request) (q inspect.Query, ok bool) {
	values := r.URL.Query()
	get := func(name string) string {
		text := values.Get(name)
		ok = ok && len(text) <= maxValue
		return text
	}
	ok = true
	q = inspect.Query{
		ID: get("id"), Namespace: get("namespace"), Room: get("room"), Address: get("address"), Text: get("text"),
		Worker: get("worker"), Sort: get("sort"), Limit: 100,
	}
	if text := get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return q, false
		}
		q.Limit = min(n, inspect.MaxRows)
	}
	return q, ok
}

// answer is a list, with who is missing in it.
type answer struct {
	Rows    any    `json:"rows"`
	More    int    `json:"more"`
	Missing string `json:"missing,omitempty"`
}

// list answers with the rows that ask returns. Viewers with one query share an answer.
func list[T any](d *Dashboard, w http.ResponseWriter, r *http.Request, ask func(context.Context, inspect.Query) (inspect.Page[T], error)) {
	q, ok := queryOf(r)
	if !ok {
		http.Error(w, "a parameter is wrong", http.StatusBadRequest)
		return
	}
	body := d.answers.get(r.Context(), fmt.Sprintf("%s %+v", r.URL.Path, q), func() []byte {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), askTimeout) // others wait, too
		defer cancel()
		page, err := ask(ctx, q)
		if page.Rows == nil {
			page.Rows = []T{} // for the page, which asks for its length
		}
		a := answer{Rows: page.Rows, More: page.More}
		if err != nil {
			a.Missing = clipped(err.Error())
		}
		text, _ := json.Marshal(a) // of plain fields
		return text
	})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // an error means that the reader left
}

const (
	freshFor   = 4 * time.Second // that an answer serves others
	maxAnswers = 32              // that are kept; beyond it, each viewer gets one of its own
)

// answers keeps the last answers by query.
type answers struct {
	mu   sync.Mutex // guards kept
	kept map[string]*kept
}

// kept is an answer, or one that somebody is asking for.
type kept struct {
	at    time.Time
	ready chan struct{} // closed when body is there
	body  []byte
}

// get returns a fresh answer, or that of ask. It returns nil if ctx ends before another viewer's
// answer is there.
func (a *answers) get(ctx context.Context, query string, ask func() []byte) []byte {
	a.mu.Lock()
	maps.DeleteFunc(a.kept, func(_ string, k *kept) bool { return time.Since(k.at) >= freshFor+askTimeout })
	if k := a.kept[query]; k != nil && time.Since(k.at) < freshFor {
		a.mu.Unlock()
		select {
		case <-k.ready:
			return k.body
		case <-ctx.Done():
			return nil
		}
	}
	mine := &kept{at: time.Now(), ready: make(chan struct{})}
	if len(a.kept) < maxAnswers || a.kept[query] != nil {
		a.kept[query] = mine
	}
	a.mu.Unlock()
	defer close(mine.ready)
	mine.body = ask()
	return mine.body
}

// respond writes JSON.
func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // an error means that the reader left
}

func (d *Dashboard) rooms(w http.ResponseWriter, r *http.Request) { list(d, w, r, d.cfg.Source.Rooms) }
func (d *Dashboard) clients(w http.ResponseWriter, r *http.Request) {
	list(d, w, r, d.cfg.Source.Clients)
}
func (d *Dashboard) ended(w http.ResponseWriter, r *http.Request) { list(d, w, r, d.cfg.Source.Ended) }

// namespaces has no query: there are few.
func (d *Dashboard) namespaces(w http.ResponseWriter, r *http.Request) {
	list(d, w, r, func(ctx context.Context, _ inspect.Query) (inspect.Page[inspect.Namespace], error) {
		rows, err := d.cfg.Source.Namespaces(ctx)
		page := inspect.Page[inspect.Namespace]{Rows: rows}
		if page.More = max(len(rows)-inspect.MaxRows, 0); page.More > 0 {
			page.Rows = rows[:inspect.MaxRows]
		}
		return page, err
	})
}
