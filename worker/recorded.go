package worker

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/flight"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

// Ended returns the last sessions that ended here, and the last refused handshakes.
// The worker's predecessor, which drained in a reload, is not there any more: its records are.
func (f *facts) Ended(_ context.Context, q inspect.Query) (inspect.Page[inspect.Ended], error) {
	page := f.w.ended.Page(f.w.process(), q)
	if before, p := f.w.predecessor(); before != nil {
		earlier := before.Page(p, q)
		page.Rows, page.More = append(page.Rows, earlier.Rows...), page.More+earlier.More
	}
	return inspect.EndedPage(q, page.Rows, page.More), nil
}

// endedFile has the records of a supervised worker's predecessor. Empty: there can't be one.
func (w *worker) endedFile() string {
	if w.cfg.supervised.dir == "" {
		return ""
	}
	return filepath.Join(w.cfg.supervised.dir, fmt.Sprintf("worker-%d.ended", w.cfg.supervised.slot))
}

// mostSaved limits the file: records in base64.
const mostSaved = 1 << 20

// predecessor returns the records of the process before this one, or nil.
func (w *worker) predecessor() (r *inspect.Recorder, p inspect.Process) {
	name := w.endedFile()
	if name == "" {
		return nil, p
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, p // there was none, or it was killed
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, mostSaved))
	if err == nil {
		r, p, err = inspect.Restore(raw)
	}
	if err != nil {
		w.log.Warn("records of an earlier process can't be read", "file", name, "error", err)
		return nil, p
	}
	return r, p
}

// saveRecords keeps the records for the worker's successor.
func (w *worker) saveRecords() {
	name := w.endedFile()
	if name == "" {
		return
	}
	raw, err := w.ended.Save(w.process())
	if err == nil {
		own := fmt.Sprintf("%s.%d", name, os.Getpid())
		if err = os.WriteFile(own, raw, 0o600); err == nil {
			err = os.Rename(own, name)
		}
	}
	if err != nil {
		w.log.Warn("records of ended sessions are lost", "file", name, "error", err)
	}
}

// record keeps the end of a session or socket.
func (w *worker) record(e *flight.End) {
	s := &e.Session
	one := &inspect.Ended{
		SID: e.SID, Sockets: e.Sockets, Namespaces: e.Namespaces, Address: e.Address, Router: w.routerOf(s.Value),
		Transport: s.Transport, Opened: s.Opened, At: s.At, Reason: e.Reason, By: e.By, Detail: e.Detail, Limit: e.Limit,
		PingSent: s.Pinged, PongSeen: s.Ponged, LastHeard: s.Heard, LastSent: s.Sent, Queue: int64(s.Queue), Sending: e.Sending,
		Handler: e.Handler, CloseCode: s.CloseCode, Unacked: s.Unacked, Retransmits: s.Retransmits, Alive: e.Alive,
	}
	if e.Handler != "" {
		one.HandlerRuns = s.At.Sub(e.HandlerSince)
	}
	w.ended.Add(one)
}

// routerOf says which router a client came through: the router's host, or its id if it named none.
func (w *worker) routerOf(value func(key any) any) string {
	p, _ := value(peerKey{}).(*peer)
	switch {
	case p == nil:
		return ""
	case p.relay != "":
		if _, host, ok := strings.Cut(p.relay, "@"); ok {
			return host
		}
		return p.relay
	case p.kind == handoff.Client:
		return w.cfg.HostName
	}
	return ""
}

// recordRefusals records refused handshakes, and tells next, which may be nil.
func (w *worker) recordRefusals(next func(engineio.ConnectionError)) func(engineio.ConnectionError) {
	return func(e engineio.ConnectionError) {
		w.ended.Refuse(refusedRequest(&e))
		if next != nil {
			next(e)
		}
	}
}

func refusedRequest(e *engineio.ConnectionError) *inspect.Ended {
	now := time.Now()
	one := &inspect.Ended{
		Address: e.Request.RemoteAddr, Transport: e.Request.URL.Query().Get("transport"), At: now, Opened: now,
		Reason: flight.Refused, By: flight.Client, Detail: e.Message,
	}
	one.SID, _ = e.Context["sid"].(string)
	if e.Code == engineio.CodeForbidden {
		said, _ := e.Context["message"].(string)
		one.By, one.Detail = flight.App, "AllowRequest: "+cmp.Or(said, e.Message)
	}
	return one
}
