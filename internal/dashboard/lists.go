package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

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

// list answers with the rows that ask returns.
func list[T any](w http.ResponseWriter, r *http.Request, ask func(context.Context, inspect.Query) (inspect.Page[T], error)) {
	q, ok := queryOf(r)
	if !ok {
		http.Error(w, "a parameter is wrong", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	page, err := ask(ctx, q)
	if page.Rows == nil {
		page.Rows = []T{} // for the page, which asks for its length
	}
	a := answer{Rows: page.Rows, More: page.More}
	if err != nil {
		a.Missing = clipped(err.Error())
	}
	respond(w, http.StatusOK, a)
}

// respond writes JSON.
func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // an error means that the reader left
}

func (d *Dashboard) rooms(w http.ResponseWriter, r *http.Request)   { list(w, r, d.cfg.Source.Rooms) }
func (d *Dashboard) clients(w http.ResponseWriter, r *http.Request) { list(w, r, d.cfg.Source.Clients) }
func (d *Dashboard) ended(w http.ResponseWriter, r *http.Request)   { list(w, r, d.cfg.Source.Ended) }

// namespaces has no query: there are few.
func (d *Dashboard) namespaces(w http.ResponseWriter, r *http.Request) {
	list(w, r, func(ctx context.Context, _ inspect.Query) (inspect.Page[inspect.Namespace], error) {
		rows, err := d.cfg.Source.Namespaces(ctx)
		page := inspect.Page[inspect.Namespace]{Rows: rows}
		if page.More = max(len(rows)-inspect.MaxRows, 0); page.More > 0 {
			page.Rows = rows[:inspect.MaxRows]
		}
		return page, err
	})
}
