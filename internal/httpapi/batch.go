package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

// Bounds of a batch.
const (
	maxLines   = 10_000
	chunkLines = 256 // actions that share a pipeline
)

// batch is a request with many actions, one per line.
type batch struct {
	server *Server
	caller *caller
	header http.Header
	lines  *bufio.Reader
	answer bytes.Buffer
	count  int
	until  time.Time // the actions end; zero until the first begins
	asked  bool      // an action wanted answers
	failed *problem  // the first that isn't the client's fault
	clock  bodyClock

	chunk []*action // nil where the line has a problem
	fault []*problem
}

// newBatch reads lines of at most Config.MaxBodyBytes.
func newBatch(s *Server, c *caller, header http.Header, body io.Reader) *batch {
	return &batch{server: s, caller: c, header: header, lines: bufio.NewReaderSize(body, 64<<10)}
}

// bodyClock ends the reading of a body. It stands still while actions are carried out: a deadline
// that passes meanwhile would end the request's context, and then the client's time.
type bodyClock struct {
	control *http.ResponseController
	until   time.Time
}

func (c *bodyClock) stop() (resume func()) {
	stopped := time.Now()
	_ = c.control.SetReadDeadline(time.Time{}) // without it the connection's own bounds hold
	return func() {
		c.until = c.until.Add(time.Since(stopped))
		_ = c.control.SetReadDeadline(c.until) // as above
	}
}

// run carries out all lines in their order. The answers are kept until the end, because clients
// often read nothing before they have sent everything. A problem with the body itself ends the
// batch: the answer to its line is the last.
func (b *batch) run(ctx context.Context) {
	for {
		line, err := b.line()
		switch {
		case errors.Is(err, io.EOF):
			b.flush(ctx)
			return
		case errors.Is(err, errLongLine):
			b.add(nil, newProblem("too-large", fmt.Sprintf("a line may have %d bytes", b.server.cfg.MaxBodyBytes)))
		case err != nil:
			b.add(nil, bodyProblem(err))
			b.flush(ctx)
			return
		default:
			b.parse(line)
		}
		if b.count == maxLines {
			if rest, err := b.line(); err == nil && rest != nil {
				b.add(nil, newProblem("too-large", fmt.Sprintf("a batch may have %d lines", maxLines)))
			}
			b.flush(ctx)
			return
		}
		if len(b.chunk) == chunkLines {
			b.flush(ctx)
		}
	}
}

var errLongLine = errors.New("httpapi: line too long")

// line returns the next line that isn't empty. It skips the rest of one that is too long.
func (b *batch) line() ([]byte, error) {
	for {
		var line []byte
		long := false
		for {
			part, err := b.lines.ReadSlice('\n')
			if long = long || len(line)+len(part) > b.server.cfg.MaxBodyBytes; !long {
				line = append(line, part...)
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0 && !long) {
				return nil, err
			}
			break
		}
		if long {
			return nil, errLongLine
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
	}
}

// parse adds the action of a line.
func (b *batch) parse(line []byte) {
	var head struct {
		Op string `json:"op"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		b.add(nil, decode(line, &selection{}))
		return
	}
	parse, known := parsers[head.Op]
	if !known {
		b.add(nil, newProblem("bad-value", "op must name an operation").at("/op"))
		return
	}
	a, fault := parse(line, true)
	if fault == nil {
		fault = b.caller.may(a)
	}
	if fault == nil {
		fault = b.caller.take()
	}
	if fault == nil {
		a.once, fault = b.server.newOnce(b.caller, b.header, a.operation, line, b.count)
	}
	if fault != nil {
		a = nil
	}
	b.add(a, fault)
}

func (b *batch) add(a *action, fault *problem) {
	b.chunk, b.fault = append(b.chunk, a), append(b.fault, fault)
	b.count++
}

// flush carries out the actions of the chunk and writes the answers.
func (b *batch) flush(ctx context.Context) {
	defer b.clock.stop()()
	if b.until.IsZero() {
		b.until = time.Now().Add(b.server.cfg.Timeout)
	}
	for i := 0; i < len(b.chunk); {
		if b.chunk[i] != nil && b.chunk[i].ask != nil {
			b.ask(ctx, i)
			i++
			continue
		}
		end := i + 1
		for end < len(b.chunk) && (b.chunk[end] == nil || b.chunk[end].ask == nil) {
			end++
		}
		b.send(ctx, i, end)
		i = end
	}
	b.chunk, b.fault = b.chunk[:0], b.fault[:0]
}

// send carries out actions that nobody answers, in one pipeline.
func (b *batch) send(ctx context.Context, from, to int) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), b.until) // as in Server.act
	defer cancel()
	actions := make([]*action, 0, to-from)
	at := make([]int, 0, to-from)
	for i := from; i < to; i++ {
		if b.chunk[i] != nil {
			actions, at = append(actions, b.chunk[i]), append(at, i)
		}
	}
	if len(actions) > 0 {
		for k, fault := range b.server.sender.send(ctx, actions) {
			b.fault[at[k]] = fault
		}
	}
	for i := from; i < to; i++ {
		b.reply(b.chunk[i], accepted{http.StatusAccepted}, b.fault[i])
	}
}

// ask carries out an action that wants answers. All of a batch may wait for maxWait together.
func (b *batch) ask(ctx context.Context, i int) {
	b.asked = b.asked || b.extend()
	ctx, cancel := context.WithDeadline(ctx, b.until)
	defer cancel()
	answer, fault := b.server.do(ctx, b.chunk[i])
	b.reply(b.chunk[i], answer, fault)
}

func (b *batch) extend() bool {
	b.until = b.until.Add(maxWait)
	return true
}

// reply writes the answer to one line, if the answers before it leave room for it.
func (b *batch) reply(a *action, answer any, fault *problem) {
	if a != nil {
		b.server.metrics.count(a.operation, b.caller, status(answer, fault))
	}
	var text []byte
	if fault != nil {
		if b.failed == nil && fault.Status >= http.StatusInternalServerError {
			b.failed = fault
		}
		text, _ = json.Marshal(fault) // strings and numbers only; it can't fail
	} else if _, sent := answer.(accepted); sent {
		text = []byte(`{"status":202}`)
	} else if text, _ = json.Marshal(answer); b.answer.Len()+len(text) > maxResponseBytes {
		text, _ = json.Marshal(newProblem("too-large", "the action was carried out, and its answer is too long for this batch"))
	}
	b.answer.Write(append(text, '\n'))
}

// write sends the answers.
func (b *batch) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	_, _ = w.Write(b.answer.Bytes())
}
