package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// problem is an answer that says what went wrong, by RFC 9457.
type problem struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail,omitempty"`
	Member  string `json:"member,omitempty"`  // the JSON pointer of the member that is wrong
	Outcome string `json:"outcome,omitempty"` // whether the action was carried out
	Request string `json:"request,omitempty"` // the request's name in the log

	retry time.Duration // when the request may succeed; zero says nothing
	cause error         // Redis's words, for the log
}

func (p *problem) Error() string { return p.Title + ": " + p.Detail }

// Outcomes of an action that failed.
const (
	notSent = "not sent" // a retry is safe
	unknown = "unknown"  // it may have been carried out, or will be
)

// kinds are all problems, by the last part of their type.
var kinds = map[string]struct {
	status int
	title  string
}{
	"malformed":        {http.StatusBadRequest, "The body isn't a JSON object"},
	"unknown-member":   {http.StatusBadRequest, "The body has an unknown member"},
	"wrong-type":       {http.StatusBadRequest, "A member has the wrong type"},
	"missing-member":   {http.StatusBadRequest, "A member is missing"},
	"bad-value":        {http.StatusBadRequest, "A value isn't allowed"},
	"unauthorized":     {http.StatusUnauthorized, "The request shows no key of this API"},
	"forbidden":        {http.StatusForbidden, "The key may not do this"},
	"not-found":        {http.StatusNotFound, "There is nothing at this path"},
	"wrong-method":     {http.StatusMethodNotAllowed, "The path has another method"},
	"too-slow":         {http.StatusRequestTimeout, "The body didn't come in time"},
	"in-progress":      {http.StatusConflict, "A request with this Idempotency-Key is under way"},
	"too-large":        {http.StatusRequestEntityTooLarge, "The request is too large"},
	"media-type":       {http.StatusUnsupportedMediaType, "The body must be JSON"},
	"foreign-host":     {http.StatusMisdirectedRequest, "The Host header names another host"},
	"key-reused":       {http.StatusUnprocessableEntity, "The Idempotency-Key belongs to another request"},
	"too-many":         {http.StatusTooManyRequests, "The key has used up its rate"},
	"internal":         {http.StatusInternalServerError, "The server failed"},
	"redis-refused":    {http.StatusBadGateway, "Redis refused the command"},
	"redis-away":       {http.StatusServiceUnavailable, "Redis doesn't answer"},
	"redis-unanswered": {http.StatusGatewayTimeout, "Redis didn't answer in time"},
}

// newProblem makes a problem of one of the kinds.
func newProblem(kind, detail string) *problem {
	k := kinds[kind]
	return &problem{Type: "urn:sidereal:problem:" + kind, Title: k.title, Status: k.status, Detail: detail}
}

// maxMember limits how much of a member's name an answer repeats.
const maxMember = 200

// at names the member that is wrong.
func (p *problem) at(pointer string) *problem {
	if len(pointer) > maxMember {
		pointer = strings.ToValidUTF8(pointer[:maxMember], "") + "…"
	}
	p.Member = pointer
	return p
}

// write answers a request.
func (p *problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retry+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="sidereal"`)
	}
	w.WriteHeader(p.Status)
	text, _ := json.Marshal(p) // strings only; it can't fail
	_, _ = w.Write(append(text, '\n'))
}
