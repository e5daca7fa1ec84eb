package packet

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestAttachmentNamedTwice: official clients give each binary part a number of its own. A packet
// that names one twice asks whoever sends it on to copy it as often.
func TestAttachmentNamedTwice(t *testing.T) {
	const zero, one = `{"_placeholder":true,"num":0}`, `{"num":1,"_placeholder":true}`
	for text, ok := range map[string]bool{
		`["e",` + zero + `,` + one + `]`:                                   true,
		`["e",` + one + `,` + zero + `]`:                                   true,
		`["e",{"_placeholder":true,"num":0,"x":` + zero + `}]`:             true, // nobody looks into a placeholder
		`["e",` + zero + `,` + zero + `]`:                                  false,
		`["e",` + one + `,{"a":[` + zero + `,{"b":` + one + `}]}]`:         false,
		`["e",` + zero + `,` + one + `,` + zero + `]`:                      false,
		`["e",` + zero + `,{"_placeholder":true,"num":1,"num":0}` + `]`:    false,
		`["e",` + zero + `,{"_placeholder":true,"num":00}` + `]`:           false,
		`["e",` + zero + `,{"_placeholder":true,"x":` + one + `,"num":1}]`: true,
	} {
		if _, _, err := ParseEvent([]byte(text), 2); (err == nil) != ok || !ok && !errors.Is(err, ErrPlaceholder) && !errors.Is(err, ErrSyntax) {
			t.Errorf("event %s: %v", text, err)
		}
		if _, err := ParseArgs([]byte(text), 2); (err == nil) != ok {
			t.Errorf("acknowledgement %s: %v", text, err)
		}
	}
}

// manyPlaceholders is an event of n arguments, each of which is an attachment.
func manyPlaceholders(n int) Payload {
	text := []byte(`["e"`)
	p := Payload{Attachments: make([][]byte, n)}
	for i := range n {
		text = fmt.Appendf(text, `,{"_placeholder":true,"num":%d}`, i)
		p.Attachments[i] = []byte{byte(i)}
	}
	p.JSON = append(text, ']')
	return p
}

// TestPlaceholdersAreWalkedOnce compares what it costs to send on few arguments and many, all of
// them attachments.
func TestPlaceholdersAreWalkedOnce(t *testing.T) {
	const few, many = 1_000, 32_000
	cost := func(n int) time.Duration {
		_, args, err := manyPlaceholders(n).Event()
		if err != nil {
			t.Fatal(err)
		}
		return testkit.CPU(func() {
			if p := args.Payload(); len(p.Attachments) != n {
				t.Errorf("%d attachments, want %d", len(p.Attachments), n)
			}
			for i := range args.Len() {
				if got := args.Value(i).String(); got != `{"_placeholder":true,"num":0}` {
					t.Fatalf("argument %d is %s", i, got)
				}
			}
		})
	}
	a, b := cost(few), cost(many)
	if ratio := float64(b) / float64(a); ratio > 4*many/few {
		t.Errorf("%d placeholders cost %.0f times as much as %d (%v, %v)", many, ratio, few, b, a)
	}
}
