package inspect

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
)

const (
	usualRows = 50  // of a Query without a Limit
	maxText   = 512 // bytes of each text of a Query
	minID     = 4   // characters of Query.ID
)

// Rows returns how many rows the answer may have.
func (q Query) Rows() int {
	if q.Limit <= 0 {
		return usualRows
	}
	return min(q.Limit, MaxRows)
}

// Check returns an error for a query that no Source answers.
func (q Query) Check() error {
	for name, text := range q.texts() {
		if len(*text) > maxText {
			return fmt.Errorf("%s has more than %d bytes", name, maxText)
		}
	}
	switch {
	case q.ID != "" && len(q.ID) < minID:
		return fmt.Errorf("id needs at least %d characters", minID)
	case !slices.Contains([]string{"", "connected", "queue", "events", "sockets", "name"}, q.Sort):
		return fmt.Errorf("sort must be connected, queue or events, and of rooms sockets or name")
	}
	return nil
}

// texts are the fields that are texts, by their names in JSON.
func (q *Query) texts() map[string]*string {
	return map[string]*string{
		"id": &q.ID, "namespace": &q.Namespace, "room": &q.Room, "address": &q.Address, "event": &q.Event,
		"text": &q.Text, "worker": &q.Worker, "sort": &q.Sort,
	}
}

// values returns the query as parameters of a URL.
func (q Query) values() url.Values {
	v := url.Values{}
	for name, text := range q.texts() {
		if *text != "" {
			v.Set(name, *text)
		}
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Payload {
		v.Set("payload", "true")
	}
	return v
}

// parseQuery reads a query from parameters of a URL. It ignores parameters that it doesn't know.
func parseQuery(v url.Values) (q Query, err error) {
	for name, text := range q.texts() {
		*text = v.Get(name)
	}
	if limit := v.Get("limit"); limit != "" {
		if q.Limit, err = strconv.Atoi(limit); err != nil || q.Limit < 0 {
			return q, fmt.Errorf("limit must be a number")
		}
	}
	if payload := v.Get("payload"); payload != "" {
		if q.Payload, err = strconv.ParseBool(payload); err != nil {
			return q, fmt.Errorf("payload must be true or false")
		}
	}
	return q, q.Check()
}
