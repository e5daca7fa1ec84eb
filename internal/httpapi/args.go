package httpapi

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Bounds of arguments.
const (
	maxArgs   = 100
	maxDepth  = 64
	maxNumber = 64 // characters of one number
)

const (
	binaryMember      = "$base64"
	placeholderMember = "_placeholder" // how the protocol itself names binary
)

// parseArgs reads the array of an event's arguments. {"$base64": "…"} stands for binary.
func parseArgs(text jsontext.Value) (packet.Args, error) {
	if len(text) == 0 {
		return packet.Args{}, nil
	}
	if text.Kind() != '[' {
		return packet.Args{}, newProblem("wrong-type", "args must be an array").at("/args")
	}
	p := argsParser{dec: jsontext.NewDecoder(bytes.NewReader(text))}
	if err := p.value(0); err != nil {
		return packet.Args{}, err
	}
	if len(p.found) > 0 && p.placeholder {
		return packet.Args{}, newProblem("bad-value", placeholderMember+" means binary to clients and can't stand beside "+binaryMember).at("/args")
	}
	args, err := packet.ParseArgs(p.spliced(text), len(p.found))
	if err != nil {
		return packet.Args{}, newProblem("bad-value", err.Error()).at("/args")
	}
	if args.Len() > maxArgs {
		return packet.Args{}, newProblem("bad-value", fmt.Sprintf("args may have %d values", maxArgs)).at("/args")
	}
	return args.With(p.attachments()), nil
}

// argsParser walks over arguments and finds the binary ones.
type argsParser struct {
	dec         *jsontext.Decoder
	found       []binaryAt
	placeholder bool
}

// binaryAt is where binary stands in the text.
type binaryAt struct {
	from, to int64
	data     []byte
}

func (p *argsParser) wrong(detail string) error {
	return newProblem("bad-value", detail).at("/args" + string(p.dec.StackPointer()))
}

func (p *argsParser) value(depth int) error {
	switch p.dec.PeekKind() {
	case '[':
		if depth == maxDepth {
			return p.wrong(fmt.Sprintf("args may be nested %d deep", maxDepth))
		}
		if _, err := p.dec.ReadToken(); err != nil {
			return err
		}
		for p.dec.PeekKind() != ']' {
			if err := p.value(depth + 1); err != nil {
				return err
			}
		}
	case '{':
		if depth == maxDepth {
			return p.wrong(fmt.Sprintf("args may be nested %d deep", maxDepth))
		}
		if whole, err := p.object(depth); whole || err != nil {
			return err
		}
	case '0':
		token, err := p.dec.ReadToken()
		if err != nil {
			return err
		}
		return p.number(token)
	}
	_, err := p.dec.ReadToken() // a value without parts, or the end of one
	return err
}

// object reads an object up to its last brace, or whole if it is binary.
func (p *argsParser) object(depth int) (whole bool, err error) {
	if _, err := p.dec.ReadToken(); err != nil {
		return false, err
	}
	from := p.dec.InputOffset() - 1
	for members := 0; p.dec.PeekKind() != '}'; members++ {
		name, err := p.dec.ReadToken()
		if err != nil {
			return false, err
		}
		switch name.String() {
		case binaryMember:
			return true, p.binary(from, members > 0)
		case placeholderMember:
			p.placeholder = true
		}
		if err := p.value(depth + 1); err != nil {
			return false, err
		}
	}
	return false, nil
}

// binary reads the rest of an object whose member is $base64.
func (p *argsParser) binary(from int64, more bool) error {
	if p.dec.PeekKind() != '"' {
		return p.wrong(binaryMember + " must be a text in base64")
	}
	token, err := p.dec.ReadToken()
	if err != nil {
		return err
	}
	data, err := base64.StdEncoding.DecodeString(token.String())
	if err != nil {
		return p.wrong(binaryMember + " must be a text in base64, with padding")
	}
	if more || p.dec.PeekKind() != '}' {
		return p.wrong(binaryMember + " must be the only member of its object")
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	p.found = append(p.found, binaryAt{from, p.dec.InputOffset(), data})
	return nil
}

// number refuses numbers that JavaScript doesn't have.
func (p *argsParser) number(token jsontext.Token) error {
	if text := token.String(); len(text) > maxNumber {
		return p.wrong(fmt.Sprintf("a number may have %d characters", maxNumber))
	}
	if f, err := token.Float(); err != nil || math.IsInf(f, 0) {
		return p.wrong("the number is too large")
	}
	return nil
}

// spliced is text with the protocol's placeholders in the places of binary.
func (p *argsParser) spliced(text []byte) []byte {
	if len(p.found) == 0 {
		return text
	}
	var out []byte
	at := int64(0)
	for i, b := range p.found {
		out = append(out, text[at:b.from]...)
		out = fmt.Appendf(out, `{"_placeholder":true,"num":%d}`, i)
		at = b.to
	}
	return append(out, text[at:]...)
}

func (p *argsParser) attachments() (all [][]byte) {
	for _, b := range p.found {
		all = append(all, b.data)
	}
	return all
}
