package inspect

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	askTimeout = 5 * time.Second  // of a question
	maxAnswer  = 4 << 20          // bytes of an answer
	maxLine    = 64 << 10         // bytes of a line of a tap
	idleFor    = 50 * time.Second // that a connection is kept; an admin server keeps it for a minute
)

// Remote is a Source that asks a process over HTTP. Its answers have bounds, because the process
// may belong to somebody else.
type Remote struct {
	base  string
	http  *http.Client
	scope string
}

var _ Source = (*Remote)(nil)

// NewRemote returns a Remote for an admin address: network is "tcp", or "unix" for a path. It keeps
// connections until Close.
func NewRemote(network, address string) *Remote {
	if host, port, err := net.SplitHostPort(address); err == nil && network == "tcp" {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			address = net.JoinHostPort("127.0.0.1", port)
		}
	}
	base := "http://" + address
	if network == "unix" {
		base = "http://localhost"
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
	return &Remote{base: base, http: &http.Client{
		Transport:     &http.Transport{DialContext: dial, IdleConnTimeout: idleFor, MaxResponseHeaderBytes: 16 << 10, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// OfHost returns a Remote that asks about the process's host alone. It shares r's connections.
func (r *Remote) OfHost() *Remote { return &Remote{base: r.base, http: r.http, scope: "host"} }

// Close closes the kept connections.
func (r *Remote) Close() { r.http.CloseIdleConnections() }

func (r *Remote) Samples(ctx context.Context) ([]Sample, error) {
	return askList[Sample](ctx, r, "samples")
}

func (r *Remote) History(ctx context.Context) ([]Point, error) {
	return askList[Point](ctx, r, "history")
}

func (r *Remote) Namespaces(ctx context.Context) ([]Namespace, error) {
	return askList[Namespace](ctx, r, "namespaces")
}

func (r *Remote) Rooms(ctx context.Context, q Query) (Page[Room], error) {
	return askPage[Room](ctx, r, "rooms", q)
}

func (r *Remote) Clients(ctx context.Context, q Query) (Page[Client], error) {
	return askPage[Client](ctx, r, "clients", q)
}

func (r *Remote) Ended(ctx context.Context, q Query) (Page[Ended], error) {
	return askPage[Ended](ctx, r, "ended", q)
}

func (r *Remote) Decisions(ctx context.Context, q Query) (Page[Decision], error) {
	return askPage[Decision](ctx, r, "decisions", q)
}

func askList[T any](ctx context.Context, r *Remote, what string) (rows []T, err error) {
	err = r.ask(ctx, what, Query{}, &rows)
	return rows, err
}

func askPage[T any](ctx context.Context, r *Remote, what string, q Query) (p Page[T], err error) {
	err = r.ask(ctx, what, q, &p)
	p.cut(MaxRows)
	return p, err
}

// ask asks one question. If the error is that of an incomplete answer, into has the answer.
func (r *Remote) ask(ctx context.Context, what string, q Query, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	res, err := r.get(ctx, what, q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("inspect: %s: %w", what, err)
	case len(body) > maxAnswer:
		return fmt.Errorf("inspect: %s: the answer has more than %d bytes", what, maxAnswer)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("inspect: %s: %w", what, err)
	}
	if why := res.Header.Get(incomplete); why != "" {
		return errors.New(printable(why))
	}
	return nil
}

// get sends a question. The answer isn't a refusal.
func (r *Remote) get(ctx context.Context, what string, q Query) (*http.Response, error) {
	v := q.values()
	if r.scope != "" {
		v.Set("scope", r.scope)
	}
	target := r.base + Prefix + what
	if len(v) > 0 {
		target += "?" + v.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	res, err := r.http.Do(req)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the URL, which no operator has typed
		}
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	why, _ := io.ReadAll(io.LimitReader(res.Body, maxError)) // the code says enough
	res.Body.Close()
	return nil, &RefusalError{res.StatusCode, printable(string(why))}
}

// RefusalError is a process's refusal to answer.
type RefusalError struct {
	Code int // HTTP's
	Why  string
}

func (e *RefusalError) Error() string { return fmt.Sprintf("inspect: %d: %s", e.Code, e.Why) }

// Tap calls f for each event until ctx ends or the process has.
func (r *Remote) Tap(ctx context.Context, q Query, f func(Event)) error {
	res, err := r.get(ctx, "tap", q)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var line tapLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("inspect: tap: %w", err)
		}
		switch {
		case line.End != "":
			return errors.New(printable(line.End))
		case line.Event != nil:
			f(*line.Event)
		}
	}
	return unlessEnded(ctx, lines.Err())
}

// unlessEnded drops the error of something that ended because ctx did.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
