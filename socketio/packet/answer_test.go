package packet

import (
	"errors"
	"strings"
	"testing"
)

func TestAnswersReportFailures(t *testing.T) {
	for _, test := range []struct{ answer, message, data string }{
		{`[]`, "", ""},
		{`["error"]`, "", ""},
		{`[null]`, "", ""},
		{`[{}]`, "", ""},
		{`[[{"error":"x"}]]`, "", ""},
		{`["ok",{"error":"x"}]`, "", ""},
		{`[{"data":{"error":"x"}}]`, "", ""},
		{`[{"code":"error","Error":"x"}]`, "", ""},
		{`[{"error":null,"data":1}]`, "", ""},
		{`[{"error":""}]`, "", ""},
		{`[{"error":false}]`, "", ""},
		{`[{"error":0}]`, "", ""},
		{`[{"error":"no such room"}]`, "no such room", "null"},
		{`[ {"error":"no such room"}]`, "no such room", "null"},
		{`[{"data":[1,"a"],"error":"caf\u00e9"},2]`, "café", `[1,"a"]`},
		{`[{"error":"x","error":"y"}]`, "y", "null"},
		{`[{"error":{"code":7}}]`, `{"code":7}`, "null"},
		{`[{"error":true}]`, "true", "null"},
		{`[{"error":404,"data":null}]`, "404", "null"},
		{`[{"error":"odd","data":12345678901234567890}]`, "odd", "12345678901234567890"},
	} {
		args, err := ParseArgs([]byte(test.answer), 0)
		if err != nil {
			t.Fatalf("%s: %v", test.answer, err)
		}
		err = args.Err()
		if test.message == "" {
			if err != nil {
				t.Errorf("%s is taken for the error %v", test.answer, err)
			}
			continue
		}
		failure, ok := errors.AsType[*AnswerError](err)
		if !ok {
			t.Errorf("%s: %v, want an *AnswerError", test.answer, err)
			continue
		}
		if failure.Message != test.message || failure.Data.String() != test.data {
			t.Errorf("%s: message %q with data %s, want %q with %s", test.answer, failure.Message, failure.Data, test.message, test.data)
		}
	}
}

func TestAnswerErrorsKeepBinaryData(t *testing.T) {
	p, err := EncodeArgs(map[string]any{"error": "too large", "data": []byte("picture")})
	if err != nil {
		t.Fatal(err)
	}
	args, err := p.Args()
	if err != nil {
		t.Fatal(err)
	}
	failure, ok := errors.AsType[*AnswerError](args.Err())
	if !ok {
		t.Fatal("no error")
	}
	var data []byte
	if err := failure.Data.Decode(&data); err != nil || string(data) != "picture" {
		t.Errorf("data %q, %v", data, err)
	}
}

// The other side chooses the message, and the error's text goes into logs.
func TestAnswerErrorsHaveShortTexts(t *testing.T) {
	text := (&AnswerError{Message: strings.Repeat("é", 1<<20)}).Error()
	if len(text) > 300 || !strings.HasSuffix(text, "éé…") {
		t.Errorf("%d bytes, ending with %q", len(text), text[max(0, len(text)-8):])
	}
}

func TestAnswersWithoutErrorAreFoundWithoutAllocation(t *testing.T) {
	args, err := ParseArgs([]byte(`[{"item":"tea","count":2}]`), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := args.Err(); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
