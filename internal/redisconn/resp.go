package redisconn

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"github.com/redis/go-redis/v9"
)

// Redis speaks RESP2 on a connection that subscribes. It uses arrays of bulk strings and numbers,
// and lines.

const maxBulk = 512 << 20

// said is one thing that Redis said: a message, the confirmation of a subscription, or an answer to
// PING ("pong"). It is valid until the next fill; after keep, for ever.
type said struct {
	kind    string
	message bool // somebody published it
	channel string
	payload []byte
	omitted int // bytes of a payload that is longer than allowed: they come next, and payload is empty
}

// answerError is an error that Redis answers with. It is a redis.Error.
type answerError string

func (e answerError) Error() string { return string(e) }
func (e answerError) RedisError()   {}

var (
	_ redis.Error = answerError("")

	errSyntax = errors.New("redis: malformed reply")
)

// parsePush reads what b begins with, and tells how many bytes that were. Where b ends before, size
// is 0, and need is how many bytes there must be at least. A last part of more than most bytes is
// left unread: s.omitted says how long it is.
func parsePush(b []byte, most int) (s said, size, need int, err error) {
	if len(b) == 0 || b[0] != '*' {
		return parseLine(b)
	}
	n, size, err := parseHead(b)
	switch {
	case err != nil:
		return said{}, 0, 0, err
	case size == 0:
		return said{}, 0, len(b) + 1, nil
	case n < 2 || n > 4:
		return said{}, 0, 0, errSyntax
	}
	var parts [4][]byte
	for i := range n {
		part, more, need, err := parsePart(b[size:])
		if need > most && i == n-1 && i > 1 {
			// The head is there, or need were one byte more than there is.
			if length, head, _ := parseHead(b[size:]); head > 0 && length > most {
				s.omitted, size = length, size+head
				break
			}
		}
		if err != nil {
			return said{}, 0, 0, err
		}
		if more == 0 {
			return said{}, 0, size + need, nil
		}
		parts[i] = part
		size += more
	}
	s.channel, s.payload = text(parts[1]), parts[2]
	switch string(parts[0]) {
	case "pmessage": // kind, pattern, channel, payload
		s.kind, s.message, s.channel, s.payload = "pmessage", true, text(parts[2]), parts[3]
	case "message":
		s.kind, s.message = "message", true
	case "smessage":
		s.kind, s.message = "smessage", true
	default:
		s.kind = string(parts[0])
	}
	return s, size, 0, nil
}

// parseLine reads an error, or an answer to AUTH, or to PING while nothing is subscribed.
func parseLine(b []byte) (s said, size, need int, err error) {
	line, rest, whole := cutLine(b)
	if !whole {
		return said{}, 0, len(b) + 1, lineError(b)
	}
	size = len(b) - len(rest)
	switch line[0] {
	case '-':
		return said{}, size, 0, answerError(bytes.Clone(line[1:]))
	case '+':
		kind := string(line[1:])
		if kind == "PONG" {
			kind = "pong"
		}
		return said{kind: kind}, size, 0, nil
	}
	return said{}, 0, 0, errSyntax
}

// parsePart reads a bulk string, or a number, whose text is what it returns.
func parsePart(b []byte) (part []byte, size, need int, err error) {
	switch {
	case len(b) == 0:
		return nil, 0, 1, nil
	case b[0] == ':':
		line, rest, whole := cutLine(b)
		if !whole {
			return nil, 0, len(b) + 1, lineError(b)
		}
		return line[1:], len(b) - len(rest), 0, nil
	case b[0] != '$':
		return nil, 0, 0, errSyntax
	}
	n, head, err := parseHead(b)
	switch end := head + n + 2; {
	case err != nil:
		return nil, 0, 0, err
	case head == 0:
		return nil, 0, len(b) + 1, nil
	case n < 0: // nil: UNSUBSCRIBE from nothing
		return nil, head, 0, nil
	case len(b) < end:
		return nil, 0, end, nil
	default:
		return b[head : end-2 : end-2], end, 0, nil
	}
}

// maxHead is the longest line that tells a number: its kind, nine digits or -1, CR and LF.
const maxHead = 12

// parseHead reads the line that tells how long a bulk string is, or how many parts an array has.
// Size is 0 where the line is not whole. There are five of these in every message: by general means
// they took longer than all else in it.
func parseHead(b []byte) (n, size int, err error) {
	var digits int64
	for i := 1; i < len(b) && i < maxHead; i++ {
		switch c := b[i]; {
		case '0' <= c && c <= '9':
			digits = digits*10 + int64(c-'0')
		case c == '\r' && i > 1:
			if i+1 == len(b) {
				return 0, 0, nil
			}
			if b[i+1] != '\n' || digits > maxBulk {
				return 0, 0, fmt.Errorf("%w: %.20q", errSyntax, b)
			}
			return int(digits), i + 2, nil
		case c == '-' && i == 1:
			if len(b) < len("$-1\r\n") {
				return 0, 0, nil
			}
			if string(b[i:5]) != "-1\r\n" {
				return 0, 0, fmt.Errorf("%w: %.20q", errSyntax, b)
			}
			return -1, 5, nil
		default:
			return 0, 0, fmt.Errorf("%w: %.20q", errSyntax, b)
		}
	}
	if len(b) >= maxHead {
		return 0, 0, fmt.Errorf("%w: %.20q", errSyntax, b)
	}
	return 0, 0, nil
}

// maxLine is the longest line but an error: a kind and a number.
const maxLine = 4096

func cutLine(b []byte) (line, rest []byte, whole bool) {
	end := bytes.IndexByte(b, '\n')
	if end < 2 {
		return nil, b, false
	}
	return b[:end-1], b[end+1:], true
}

func lineError(b []byte) error {
	if len(b) > maxLine || len(b) >= 2 && bytes.IndexByte(b[:2], '\n') >= 0 {
		return errSyntax
	}
	return nil
}

// text is b, which is not written to any more.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
