package packet

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth bounds how deep arrays and objects may be nested in a received packet. A server that
// walks such text recursively would otherwise spend its stack on a client's whim.
const MaxDepth = 512

// Errors of the bodies of packets. Each is the sender's fault; the connection is closed.
var (
	ErrSyntax      = errors.New("packet: malformed JSON")
	ErrDepth       = errors.New("packet: JSON nested too deep")
	ErrShape       = errors.New("packet: wrong payload for its type")
	ErrPlaceholder = errors.New("packet: placeholder without an attachment of its own")
)

// ParseEvent reads the body of an EVENT, or with attachments > 0 that of a BINARY_EVENT, whose
// attachments With adds. It checks all of the text, as JSON.parse does. The name is a part of body,
// or unescaped from it; a number in its place is a name, and a body that is absent is an event
// without name or arguments.
func ParseEvent(body []byte, attachments int) (name []byte, args Args, err error) {
	if body == nil {
		return nil, Args{}, nil
	}
	args, err = parseArray(body, attachments)
	if err != nil {
		return nil, Args{}, err
	}
	if len(args.spans) == 0 {
		return nil, Args{}, ErrShape
	}
	first := args.spans[0]
	name = body[first.from:first.to]
	switch c := name[0]; {
	case c == '"':
		if name, err = unquote(name); err != nil {
			return nil, Args{}, err
		}
		if Reserved(string(name)) {
			return nil, Args{}, ErrShape
		}
	case c != '-' && (c < '0' || c > '9'):
		return nil, Args{}, ErrShape
	case args.odd:
		name = appendNumbers(nil, name)
	}
	args.spans = args.spans[1:]
	return name, args, nil
}

// ParseArgs reads the body of an ACK, or with attachments > 0 that of a BINARY_ACK, whose
// attachments With adds. A body that is absent is an answer without values.
func ParseArgs(body []byte, attachments int) (Args, error) {
	if body == nil {
		return Args{}, nil
	}
	return parseArray(body, attachments)
}

// ParseObject checks the body of a CONNECT, which must be a JSON object.
func ParseObject(body []byte) error {
	s := scanner{text: body}
	s.space()
	if s.peek() != '{' {
		return ErrShape
	}
	return s.document()
}

// parseArray checks body, which must be an array, and finds its values and placeholders.
func parseArray(body []byte, attachments int) (Args, error) {
	if len(body) > math.MaxInt32 {
		return Args{}, ErrSyntax
	}
	s := scanner{text: body, attachments: attachments}
	s.space()
	if s.peek() != '[' {
		return Args{}, ErrShape
	}
	s.spans = make([]span, 0, 4)
	if err := s.document(); err != nil {
		return Args{}, err
	}
	a := Args{text: body, spans: s.spans, odd: s.odd}
	if attachments > 0 {
		if namedTwice(s.holes) {
			return Args{}, ErrPlaceholder
		}
		a.binary = &binary{holes: s.holes}
	}
	return a, nil
}

// namedTwice tells whether two placeholders stand for one attachment. Official clients give every
// binary part a number of its own; who names one a thousand times would have it copied a thousand
// times by those who send it on.
func namedTwice(holes []hole) bool {
	ascending := true
	for i := 1; i < len(holes); i++ {
		ascending = ascending && holes[i-1].attachment < holes[i].attachment
	}
	if ascending { // as official clients number them
		return false
	}
	numbers := make([]uint32, len(holes))
	for i, h := range holes {
		numbers[i] = h.attachment
	}
	slices.Sort(numbers)
	return len(slices.Compact(numbers)) < len(holes)
}

// unquote is the text of a JSON string that was checked before.
func unquote(b []byte) ([]byte, error) {
	if bytes.IndexByte(b, '\\') < 0 {
		return b[1 : len(b)-1], nil
	}
	out, err := jsontext.AppendUnquote(nil, b)
	if err != nil && !utf8.Valid(out) {
		return nil, ErrSyntax
	}
	return out, nil // a lone surrogate is an error to jsontext, but it has put U+FFFD in its place
}

// scanner walks a JSON text once, with JSON.parse's strictness.
type scanner struct {
	text        []byte
	at          int
	depth       int
	attachments int    // that placeholders may name; 0: objects are not looked into
	spans       []span // the values of the outermost array, when not nil
	holes       []hole
	odd         bool // there may be numbers that JavaScript would print otherwise: see numbers.go
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// document is one value with nothing behind it.
func (s *scanner) document() error {
	if err := s.value(); err != nil {
		return err
	}
	if s.space(); s.at != len(s.text) {
		return ErrSyntax
	}
	return nil
}

func (s *scanner) value() error {
	switch c := s.peek(); c {
	case '{':
		return s.object()
	case '[':
		return s.array()
	case '"':
		return s.string()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) array() error {
	if s.depth++; s.depth > MaxDepth {
		return ErrDepth
	}
	s.at++
	s.space()
	for first := true; ; first = false {
		if first && s.peek() == ']' {
			break
		}
		from := s.at
		if err := s.value(); err != nil {
			return err
		}
		if s.depth == 1 && s.spans != nil {
			s.spans = append(s.spans, span{uint32(from), uint32(s.at)})
		}
		s.space()
		if s.peek() == ']' {
			break
		}
		if s.peek() != ',' {
			return ErrSyntax
		}
		s.at++
		s.space()
	}
	s.at++
	s.depth--
	return nil
}

func (s *scanner) object() error {
	if s.depth++; s.depth > MaxDepth {
		return ErrDepth
	}
	open, holes := s.at, len(s.holes)
	var marked bool // the member _placeholder, the last if there are several, is true
	var num []byte
	s.at++
	s.space()
	for first := true; ; first = false {
		if first && s.peek() == '}' {
			break
		}
		from := s.at
		if s.peek() != '"' {
			return ErrSyntax
		}
		if err := s.string(); err != nil {
			return err
		}
		key := s.text[from:s.at]
		if s.space(); s.peek() != ':' {
			return ErrSyntax
		}
		s.at++
		s.space()
		from = s.at
		if err := s.value(); err != nil {
			return err
		}
		if s.attachments > 0 {
			switch string(key) {
			case `"_placeholder"`:
				marked = string(s.text[from:s.at]) == "true"
			case `"num"`:
				num = s.text[from:s.at]
			}
		}
		s.space()
		if s.peek() == '}' {
			break
		}
		if s.peek() != ',' {
			return ErrSyntax
		}
		s.at++
		s.space()
	}
	s.at++
	s.depth--
	if !marked {
		return nil
	}
	n := digits(num)
	if n == 0 || n != len(num) || n > 9 || natural(num) >= int64(s.attachments) {
		return ErrPlaceholder
	}
	s.holes = append(s.holes[:holes], hole{span{uint32(open), uint32(s.at)}, uint32(natural(num))})
	return nil
}

func (s *scanner) string() error {
	for i := s.at + 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			return nil
		case c < ' ':
			return ErrSyntax
		case c == '\\':
			if i++; i == len(s.text) {
				return ErrSyntax
			}
			switch s.text[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i == len(s.text) || !hex(s.text[i]) {
						return ErrSyntax
					}
				}
			default:
				return ErrSyntax
			}
		}
	}
	return ErrSyntax
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (s *scanner) literal(word string) error {
	if !bytes.HasPrefix(s.text[s.at:], []byte(word)) {
		return ErrSyntax
	}
	s.at += len(word)
	return nil
}

func (s *scanner) number() error {
	from := s.at
	if s.peek() == '-' {
		s.at++
	}
	n := digits(s.text[s.at:])
	if n == 0 || n > 1 && s.peek() == '0' {
		return ErrSyntax
	}
	s.at += n
	whole := true
	if s.peek() == '.' {
		whole = false
		s.at++
		if n = digits(s.text[s.at:]); n == 0 {
			return ErrSyntax
		}
		s.at += n
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		whole = false
		s.at++
		if c = s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if n = digits(s.text[s.at:]); n == 0 {
			return ErrSyntax
		}
		s.at += n
	}
	if !s.odd && (!whole || s.at-from > maxIDDigits || s.text[from] == '-') {
		s.odd = odd(s.text[from:s.at], whole)
	}
	return nil
}
