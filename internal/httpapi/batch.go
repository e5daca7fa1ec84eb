package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
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
	lines  *bufio.Reader
	answer bytes.Buffer
	count  int
	until  time.Time // the actions end; zero until the first begins

	chunk []*action // nil where the line has a problem
	fault []*problem
}

// newBatch reads lines of at most Config.MaxBodyBytes.
func newBatch(s *Server, c *caller, body io.Reader) *batch {
	return &batch{server: s, caller: c, lines: bufio.NewReaderSize(body, 64<<10)}
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
	if err := jsonv2.Unmarshal(line, &head); err != nil {
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
	actions := make([]*action, 0, len(b.chunk))
	at := make([]int, 0, len(b.chunk))
	for i, a := range b.chunk {
		if a != nil {
			actions, at = append(actions, a), append(at, i)
		}
	}
	if len(actions) > 0 {
		if b.until.IsZero() {
			b.until = time.Now().Add(b.server.cfg.Timeout)
		}
		ctx, cancel := context.WithDeadline(ctx, b.until)
		defer cancel()
		for k, fault := range b.server.sender.send(ctx, actions) {
			b.fault[at[k]] = fault
			b.server.metrics.count(actions[k].operation, b.caller, fault)
		}
	}
	for _, fault := range b.fault {
		if fault == nil {
			b.answer.WriteString("{\"status\":202}\n")
			continue
		}
		text, _ := json.Marshal(fault) // strings only; it can't fail
		b.answer.Write(append(text, '\n'))
	}
	b.chunk, b.fault = b.chunk[:0], b.fault[:0]
}

// write sends the answers.
func (b *batch) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	_, _ = w.Write(b.answer.Bytes())
}
