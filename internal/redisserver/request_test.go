package redisserver

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadRequestTakesArgumentsOfAnySize(t *testing.T) {
	want := []string{"", "\r\n\x00", strings.Repeat("x", 3*believed)}
	r := bufio.NewReaderSize(bytes.NewReader(appendRequest(nil, want)), 16)
	got, err := readRequest(r)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d arguments, %v", len(got), err)
	}
}

func appendRequest(b []byte, args []string) []byte {
	b = fmt.Appendf(b, "*%d\r\n", len(args))
	for _, arg := range args {
		b = appendBulk(b, arg)
	}
	return b
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"))
	f.Add([]byte("*1\r\n$536870912\r\nshort"))
	f.Fuzz(func(t *testing.T, data []byte) {
		args, err := readRequest(bufio.NewReader(bytes.NewReader(data)))
		slowly, slowErr := readRequest(bufio.NewReader(iotest.OneByteReader(bytes.NewReader(data))))
		if !slices.Equal(args, slowly) || (err == nil) != (slowErr == nil) {
			t.Fatalf("whole: %q, %v; byte by byte: %q, %v", args, err, slowly, slowErr)
		}
		if err != nil || len(args) == 0 {
			return
		}
		again, err := readRequest(bufio.NewReader(bytes.NewReader(appendRequest(nil, args))))
		if err != nil || !slices.Equal(args, again) {
			t.Fatalf("%q encoded again is %q, %v", args, again, err)
		}
	})
}
