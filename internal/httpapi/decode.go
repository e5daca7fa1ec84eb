package httpapi

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of a body's members.
const (
	maxNames      = 1000 // rooms or sockets in a list
	maxNameBytes  = 1024
	maxEventBytes = 1024
	maxWait       = time.Minute // that a request may ask for
)

// selection names sockets, as the operators of a server do.
type selection struct {
	Op        text  `json:"op"` // of a line in a batch
	Namespace text  `json:"namespace"`
	Rooms     names `json:"rooms"`
	Except    names `json:"except"`
	Sockets   names `json:"sockets"`
}

type emitBody struct {
	selection
	Event    text           `json:"event"`
	Args     jsontext.Value `json:"args"`
	Volatile flag           `json:"volatile"`
	Timeout  millis         `json:"timeout"`
}

type joinBody struct {
	selection
	Join names `json:"join"`
}

type leaveBody struct {
	selection
	Leave names `json:"leave"`
}

type disconnectBody struct {
	selection
	Close flag `json:"close"`
}

type serverEventBody struct {
	Op        text           `json:"op"`
	Namespace text           `json:"namespace"`
	Event     text           `json:"event"`
	Args      jsontext.Value `json:"args"`
	Timeout   millis         `json:"timeout"`
}

// text is a string. Like all types here it refuses null: a program that computes a list of rooms
// and gets null doesn't mean everybody.
type text struct{ value string }

func (t *text) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != '"' {
		return errWrongType("a string")
	}
	if t.value = token.String(); len(t.value) > maxNameBytes {
		return errBadValue(fmt.Sprintf("may have %d bytes", maxNameBytes))
	}
	return nil
}

// names is a list of rooms or sockets.
type names struct {
	list  []string
	given bool
}

func (n *names) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '[' {
		return errWrongType("an array of strings")
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	n.given = true
	for dec.PeekKind() != ']' {
		if dec.PeekKind() != '"' {
			return errWrongType("an array of strings")
		}
		var one text
		if err := one.UnmarshalJSONFrom(dec); err != nil {
			return err
		}
		if n.list = append(n.list, one.value); len(n.list) > maxNames {
			return errBadValue(fmt.Sprintf("may have %d names", maxNames))
		}
	}
	_, err := dec.ReadToken()
	return err
}

type flag struct{ on bool }

func (f *flag) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if k := token.Kind(); k != 't' && k != 'f' {
		return errWrongType("true or false")
	}
	f.on = token.Bool()
	return nil
}

// millis is a time to wait, in milliseconds.
type millis struct{ time.Duration }

func (m *millis) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != '0' {
		return errWrongType("a number of milliseconds")
	}
	n, err := token.Int()
	if err != nil || n < 1 || n > maxWait.Milliseconds() {
		return errBadValue(fmt.Sprintf("must be a whole number of milliseconds from 1 to %d", maxWait.Milliseconds()))
	}
	m.Duration = time.Duration(n) * time.Millisecond
	return nil
}

// memberError is a member's fault. The decoder adds which member that is.
type memberError struct{ kind, rule string }

func (e *memberError) Error() string { return e.rule }

func errWrongType(want string) error { return &memberError{"wrong-type", "must be " + want} }
func errBadValue(rule string) error  { return &memberError{"bad-value", rule} }

// decode reads a body into one of the structs above.
func decode(body []byte, into any) *problem {
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var fault *problem
	if errors.As(err, &fault) {
		return fault
	}
	var semantic *json.SemanticError
	var syntax *jsontext.SyntacticError
	var member *memberError
	switch {
	case errors.As(err, &member) && errors.As(err, &semantic):
		at := string(semantic.JSONPointer)
		return newProblem(member.kind, nameOf(at)+" "+member.rule).at(at)
	case errors.As(err, &semantic) && errors.Is(err, json.ErrUnknownName):
		at := string(semantic.JSONPointer)
		return newProblem("unknown-member", nameOf(at)+" isn't a member of this request").at(at)
	case errors.As(err, &semantic):
		at := string(semantic.JSONPointer)
		if at == "" {
			return newProblem("malformed", "the body must be a JSON object")
		}
		return newProblem("wrong-type", nameOf(at)+" has the wrong type").at(at)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return newProblem("malformed", "the body ends too early")
	case errors.As(err, &syntax):
		at := string(syntax.JSONPointer)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return newProblem("bad-value", nameOf(at)+" appears twice").at(at)
		}
		return newProblem("malformed", fmt.Sprintf("not JSON at byte %d", syntax.ByteOffset)).at(at)
	}
	return newProblem("malformed", "the body must be a JSON object")
}

// nameOf is a pointer as a sentence names it. Foreign bytes in it are bounded and quoted.
func nameOf(pointer string) string {
	name := strings.TrimPrefix(pointer, "/")
	if len(name) > 100 {
		name = name[:100] + "…"
	}
	return fmt.Sprintf("%q", name)
}
