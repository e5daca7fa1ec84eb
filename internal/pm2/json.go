package pm2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/jsonc"
)

// SyntaxError reports a file that can't be read.
type SyntaxError struct {
	File string
	Line int // from 1; 0: unknown
	Rule string
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Rule
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Rule)
}

// maxDepth limits the levels that a file may nest; deeper files are mistakes or attacks.
const maxDepth = 200

// readJSON reads JSON with comments and trailing commas. If a key occurs twice, the last one
// counts, as in JavaScript.
func readJSON(file, src string) (value, error) {
	text := jsonc.ToJSON([]byte(strings.TrimPrefix(src, "\ufeff")))
	r := jsonReader{file: file, text: text}
	r.tokens = jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := r.tokens.ReadToken(); err != io.EOF {
		if err == nil {
			return nil, r.wrong(r.tokens.InputOffset(), "there is text behind the value")
		}
		return nil, r.syntax(err)
	}
	return v, nil
}

// jsonReader turns JSON's tokens into values, in the order of the file.
type jsonReader struct {
	file   string
	text   []byte
	tokens *jsontext.Decoder
}

func (r *jsonReader) value(depth int) (value, error) {
	t, err := r.tokens.ReadToken()
	if err != nil {
		return nil, r.syntax(err)
	}
	if depth > maxDepth {
		return nil, r.wrong(r.tokens.InputOffset(), fmt.Sprintf("more than %d levels are nested", maxDepth))
	}
	switch t.Kind() {
	case '{':
		return r.object(depth)
	case '[':
		return r.list(depth)
	case '"':
		return t.String(), nil
	case '0':
		f, err := strconv.ParseFloat(t.String(), 64)
		if err != nil && math.Abs(f) <= math.MaxFloat64 { // numbers beyond are Infinity, as in JavaScript
			return nil, r.wrong(r.tokens.InputOffset(), err.Error())
		}
		return f, nil
	case 't', 'f':
		return t.Bool(), nil
	}
	return nil, nil
}

func (r *jsonReader) object(depth int) (value, error) {
	o := newObject()
	for {
		t, err := r.tokens.ReadToken()
		if err != nil {
			return nil, r.syntax(err)
		}
		if t.Kind() == '}' {
			return o, nil
		}
		key := t.String()
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o.set(key, v)
	}
}

func (r *jsonReader) list(depth int) (value, error) {
	list := []value{}
	for r.tokens.PeekKind() != ']' {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := r.tokens.ReadToken()
	return list, err
}

// syntax names the line of what the decoder found.
func (r *jsonReader) syntax(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.wrong(int64(len(r.text)), "the file ends too early")
	}
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return r.wrong(r.tokens.InputOffset(), err.Error())
	}
	return r.wrong(syntax.ByteOffset, strings.TrimPrefix(syntax.Err.Error(), "jsontext: "))
}

func (r *jsonReader) wrong(at int64, rule string) error {
	at = min(at, int64(len(r.text)))
	return &SyntaxError{File: r.file, Line: 1 + bytes.Count(r.text[:at], []byte("\n")), Rule: rule}
}
