package packet

import (
	"bytes"
	"testing"
)

func TestNumbersArePrintedAsJavaScriptDoes(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-7": "-7", "1.5": "1.5", "-0.25": "-0.25", "1e-7": "1e-7", "1e+21": "1e+21",
		"-0": "0", "-0.0": "0", "1.0": "1", "-3.0": "-3", "0.10": "0.1", "1e3": "1000", "1E3": "1000", "15e-1": "1.5", "1e21": "1e+21",
		"1.5e300": "1.5e+300", "0.0000001": "1e-7", "0.000001": "0.000001", "1e400": "null", "-1e400": "null",
		"0.99999999999999999999": "1", "0.30000000000000004": "0.30000000000000004",
		"9007199254740993": "9007199254740993", "123456789012345678901234": "123456789012345678901234", // JavaScript cannot tell
	} {
		_, args, err := ParseEvent([]byte(`["e",`+in+`,{"-0":"1.0","x":[`+in+` ]},"-0"]`), 0)
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		if got, want := args.String(), `[`+want+`,{"-0":"1.0","x":[`+want+` ]},"-0"]`; got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	_, args, _ := ParseEvent([]byte(`["e",3.0]`), 0)
	var n int
	if err := args.Decode(0, &n); err != nil || n != 3 {
		t.Errorf("3.0 as an int is %d, %v", n, err)
	}
}

func TestUsualNumbersAreNotRewritten(t *testing.T) {
	text := []byte(`["e",[0.12345678901234567,-12.5,1763629200000,17,0.5]]`)
	_, args, err := ParseEvent(text, 0)
	if err != nil || &args.text[0] != &text[0] {
		t.Errorf("the text was rewritten to %s, %v", args.text, err)
	}
}

func BenchmarkParseNumbers(b *testing.B) {
	for name, number := range map[string]string{"integers": "1763629200,", "fractions": "0.12345678901234,", "foreign": "1.0,"} {
		b.Run(name, func(b *testing.B) {
			text := append([]byte(`["e"`), bytes.TrimSuffix(append([]byte(","), bytes.Repeat([]byte(number), 100)...), []byte(","))...)
			text = append(text, ']')
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				ParseEvent(text, 0)
			}
		})
	}
}
