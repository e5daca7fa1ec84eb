package redisserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The limits of Redis itself (proto-max-bulk-len, and what it takes as a multibulk length).
const (
	maxArguments = 1 << 20
	maxArgument  = 512 << 20 // bytes
	believed     = 64 << 10  // bytes of an announced length that are allocated before they arrive
)

// errProtocol reports bytes that are no command. The text after it is what Redis tells the client
// before it hangs up.
//
//lint:ignore ST1005 these are Redis's own words
var errProtocol = errors.New("Protocol error")

// readRequest reads one command as clients send it: an array of bulk strings (RESP, "Sending
// commands to a Redis server"). An empty array isn't an error.
func readRequest(r *bufio.Reader) ([]string, error) {
	n, err := readSize(r, '*', maxArguments)
	if err != nil || n <= 0 {
		return nil, err
	}
	args := make([]string, 0, min(n, 16))
	for range n {
		arg, err := readArgument(r)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return args, nil
}

func readArgument(r *bufio.Reader) (string, error) {
	left, err := readSize(r, '$', maxArgument)
	if err != nil {
		return "", err
	}
	if left < 0 {
		return "", fmt.Errorf("%w: invalid bulk length", errProtocol)
	}
	var b strings.Builder
	b.Grow(min(left, believed))
	for left > 0 {
		if _, err := r.Peek(1); err != nil {
			return "", err
		}
		there, _ := r.Peek(min(left, r.Buffered()))
		b.Write(there)
		left -= len(there)
		_, _ = r.Discard(len(there))
	}
	_, err = r.Discard(2) // CR LF
	return b.String(), err
}

// readSize reads a line of kind and a decimal number.
func readSize(r *bufio.Reader, kind byte, limit int) (int, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return 0, fmt.Errorf("%w: too big count string", errProtocol)
	case err != nil:
		return 0, err
	}
	if line[0] != kind {
		return 0, fmt.Errorf("%w: expected '%c', got '%c'", errProtocol, kind, line[0])
	}
	n, err := strconv.Atoi(string(bytes.TrimRight(line[1:], "\r\n")))
	if err != nil || n > limit {
		return 0, fmt.Errorf("%w: invalid length", errProtocol)
	}
	return n, nil
}
