package packet

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestParseEvent(t *testing.T) {
	deep := func(n int) string { return `["e",` + strings.Repeat("[", n) + strings.Repeat("]", n) + "]" }
	cases := []struct {
		in          string
		attachments int
		name, args  string
		err         error
	}{
		{in: `["e"]`, name: "e", args: `[]`},
		{in: ` [ "e" , 1 , {"a":[1,2]} ] `, name: "e", args: `[1,{"a":[1,2]}]`},
		{in: `["caf\u00e9\n",null]`, name: "café\n", args: `[null]`},
		{in: `[1]`, name: "1", args: `[]`},
		{in: `[-1.5,2]`, name: "-1.5", args: `[2]`},
		{in: `["e",{"__proto__":{"x":1}}]`, name: "e", args: `[{"__proto__":{"x":1}}]`},
		{in: `["e",{"_placeholder":true,"num":0}]`, name: "e", args: `[{"_placeholder":true,"num":0}]`}, // plain data here
		{in: `["e",{"_placeholder":true,"num":0},{"num":1,"_placeholder":true}]`, attachments: 2, name: "e",
			args: `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`},
		{in: `["e",{"_placeholder":true,"num":1}]`, attachments: 2, name: "e", args: `[{"_placeholder":true,"num":0}]`},
		{in: `["e",{"_placeholder":1,"num":7}]`, attachments: 1, name: "e", args: `[{"_placeholder":1,"num":7}]`},
		{in: `["e",{"_placeholder":true,"num":1}]`, attachments: 1, err: ErrPlaceholder},
		{in: `["e",{"_placeholder":true,"num":-1}]`, attachments: 1, err: ErrPlaceholder},
		{in: `["e",{"_placeholder":true,"num":0.5}]`, attachments: 1, err: ErrPlaceholder},
		{in: `["e",{"_placeholder":true,"num":"0"}]`, attachments: 1, err: ErrPlaceholder},
		{in: `["e",{"_placeholder":true}]`, attachments: 1, err: ErrPlaceholder},
		{in: `[]`, err: ErrShape},
		{in: `{}`, err: ErrShape},
		{in: `"e"`, err: ErrShape},
		{in: `[null]`, err: ErrShape},
		{in: `[{}]`, err: ErrShape},
		{in: `[true]`, err: ErrShape},
		{in: `["connect"]`, err: ErrShape},
		{in: `["connect_error"]`, err: ErrShape},
		{in: `["disconnect"]`, err: ErrShape},
		{in: `["disconnecting"]`, err: ErrShape},
		{in: `["newListener"]`, err: ErrShape},
		{in: `["removeListener"]`, err: ErrShape},
		{in: `["\u0063onnect"]`, err: ErrShape},
		{in: `["e"`, err: ErrSyntax},
		{in: `["e",]`, err: ErrSyntax},
		{in: `["e"]]`, err: ErrSyntax},
		{in: `["e",01]`, err: ErrSyntax},
		{in: `["e",1.]`, err: ErrSyntax},
		{in: `["e",+1]`, err: ErrSyntax},
		{in: `["e",NaN]`, err: ErrSyntax},
		{in: "[\"e\",\"\x01\"]", err: ErrSyntax},
		{in: `["e","\x"]`, err: ErrSyntax},
		{in: `["e",{a:1}]`, err: ErrSyntax},
		{in: `["e",{"a":1,}]`, err: ErrSyntax},
		{in: deep(MaxDepth - 1), name: "e", args: "[" + deep(MaxDepth - 1)[5:]},
		{in: deep(MaxDepth), err: ErrDepth},
		{in: deep(400000), err: ErrDepth},
	}
	for _, c := range cases {
		name, args, err := ParseEvent([]byte(c.in), c.attachments)
		if !errors.Is(err, c.err) {
			t.Errorf("ParseEvent(%.60q) error = %v, want %v", c.in, err, c.err)
			continue
		}
		if err != nil {
			continue
		}
		args = args.With(make([][]byte, c.attachments))
		if got := args.String(); string(name) != c.name || got != c.args {
			t.Errorf("ParseEvent(%.60q) = %q, %.60s; want %q, %.60s", c.in, name, got, c.name, c.args)
		}
	}
}

func TestParseObject(t *testing.T) {
	for text, ok := range map[string]bool{
		`{}`: true, `{"token":"x"}`: true, ` {} `: true, `[]`: false, `null`: false, `"x"`: false, `{`: false, `{}x`: false, `1`: false,
	} {
		if err := ParseObject([]byte(text)); (err == nil) != ok {
			t.Errorf("ParseObject(%q) = %v", text, err)
		}
	}
}

// The texts on the right are what JSON.stringify and socket.io-parser print for the same values.
func TestEncodePrintsAsJavaScript(t *testing.T) {
	type point struct {
		Y int    `json:"y"`
		X int    `json:"x"`
		S string `json:"s,omitempty"`
	}
	cases := []struct {
		v    any
		want string
	}{
		{nil, `null`},
		{"<a href='&'>\u2028\x00\x7f\"\\/ é", "\"<a href='&'>\u2028\\u0000\x7f\\\"\\\\/ é\""},
		{"\xff", "\"\ufffd\""},
		{true, `true`},
		{42, `42`},
		{int64(-7), `-7`},
		{uint8(200), `200`},
		{1e21, `1e+21`},
		{123456789012345680000.0, `123456789012345680000`},
		{1e-7, `1e-7`},
		{1.5e-10, `1.5e-10`},
		{0.000001, `0.000001`},
		{5e-324, `5e-324`},
		{math.Copysign(0, -1), `0`},
		{math.NaN(), `null`},
		{math.Inf(-1), `null`},
		{float32(0.1), `0.1`},
		{[]float64{1, math.NaN(), 1e300}, `[1,null,1e+300]`},
		{[]string(nil), `[]`},
		{[]int{}, `[]`},
		{map[string]int{"b": 1, "a": 2}, `{"a":2,"b":1}`},
		{point{Y: 1, X: 2}, `{"y":1,"x":2}`},
		{&point{S: "&"}, `{"y":0,"x":0,"s":"&"}`},
		{time.Date(2026, 11, 20, 6, 36, 26, 5e6, time.FixedZone("", 3600)), `"2026-11-20T05:36:26.005Z"`},
		{map[string]any{"at": time.Unix(0, 0)}, `{"at":"1970-01-01T00:00:00.000Z"}`},
		{1500 * time.Millisecond, `1500`},
		{json.RawMessage(`{"z":1,"a":[1e0]}`), `{"z":1,"a":[1e0]}`},
		{[]byte{1}, `{"_placeholder":true,"num":0}`},
		{map[string]any{"a": []byte{1}, "b": []any{[]byte{2}, "x"}}, `{"a":{"_placeholder":true,"num":0},"b":[{"_placeholder":true,"num":1},"x"]}`},
		{Value{}, `null`},
	}
	for _, c := range cases {
		p, err := EncodeEvent("e", c.v)
		if want := `["e",` + c.want + `]`; err != nil || string(p.JSON) != want {
			t.Errorf("%v: %s, %v; want %s", c.v, p.JSON, err, want)
		}
		if p, err = EncodeArgs([]any{c.v}); err != nil || string(p.JSON) != "[["+c.want+"]]" {
			t.Errorf("%v inside a value: %s, %v; want %s", c.v, p.JSON, err, c.want)
		}
	}
}

func TestEncodeRefusesWhatIsNoJSON(t *testing.T) {
	loop := map[string]any{}
	loop["loop"] = loop
	for _, v := range []any{make(chan int), func() {}, loop, json.RawMessage(`{`)} {
		if p, err := EncodeArgs(v); err == nil {
			t.Errorf("%T: %s", v, p.JSON)
		}
	}
}

// TestOmitEmpty: as encoding/json has it, for whoever has tagged types already; and a field that is
// left out makes no event a binary one.
func TestOmitEmpty(t *testing.T) {
	type fields struct {
		N int            `json:"n,omitempty"`
		F float64        `json:"f,omitempty"`
		B bool           `json:"b,omitempty"`
		S string         `json:"s,omitempty"`
		D []byte         `json:"d,omitempty"`
		L []int          `json:"l,omitempty"`
		M map[string]int `json:"m,omitempty"`
		P *int           `json:"p,omitempty"`
		A any            `json:"a,omitempty"`
	}
	for _, v := range []any{fields{}, fields{D: []byte{}, L: []int{}, M: map[string]int{}}} {
		p, err := EncodeArgs(v)
		if err != nil || string(p.JSON) != `[{}]` || len(p.Attachments) > 0 {
			t.Errorf("%+v: %s and %q, %v", v, p.JSON, p.Attachments, err)
		}
	}
	p, err := EncodeArgs(fields{N: 1, D: []byte("x"), A: 0})
	if want := `[{"n":1,"d":{"_placeholder":true,"num":0},"a":0}]`; err != nil || string(p.JSON) != want {
		t.Errorf("%s, %v, want %s", p.JSON, err, want)
	}
}

func TestArgsPassThrough(t *testing.T) {
	in := Payload{
		JSON:        []byte(`["e",{"b":{"_placeholder":true,"num":1},"1":1.0},"x",{"num":0,"_placeholder":true},{"_placeholder":true,"num":2}]`),
		Attachments: [][]byte{[]byte("zero"), []byte("one"), []byte("two")},
	}
	_, args, err := in.Event()
	if err != nil {
		t.Fatal(err)
	}
	out, err := EncodeEvent("back", []byte("mine"), args, "end")
	if err != nil {
		t.Fatal(err)
	}
	want := `["back",{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1},"1":1},"x",` +
		`{"_placeholder":true,"num":2},{"_placeholder":true,"num":3},"end"]`
	if string(out.JSON) != want {
		t.Errorf("%s\nwant %s", out.JSON, want)
	}
	if got := texts(out.Attachments); !reflect.DeepEqual(got, []string{"mine", "one", "zero", "two"}) {
		t.Errorf("attachments %q", got)
	}
	if p := args.Slice(2, 3).Payload(); string(p.JSON) != `[{"_placeholder":true,"num":0}]` || !reflect.DeepEqual(texts(p.Attachments), []string{"zero"}) {
		t.Errorf("a part: %s %q", p.JSON, texts(p.Attachments))
	}
	if p, _ := EncodeEvent("none", Args{}, Args{}); string(p.JSON) != `["none"]` {
		t.Errorf("no arguments: %s", p.JSON)
	}
}

func texts(list [][]byte) (out []string) {
	for _, b := range list {
		out = append(out, string(b))
	}
	return out
}

func TestDecode(t *testing.T) {
	p := Payload{
		JSON: []byte(`["a\ud83d\ude00\ud800",7,-1.5,true,null,{"Room":"r","when":"2026-11-20T05:36:26.005Z","wait":1500,"blob":{"_placeholder":true,"num":0}},` +
			`{"_placeholder":true,"num":1},[1,{"x":{"_placeholder":true,"num":2}}],1e400,{"a":1,"a":2}]`),
		Attachments: [][]byte{[]byte("zero"), []byte("one"), []byte("two")},
	}
	args, err := p.Args()
	if err != nil {
		t.Fatal(err)
	}
	type message struct {
		Room string        `json:"room"`
		When time.Time     `json:"when"`
		Wait time.Duration `json:"wait"`
		Blob []byte        `json:"blob"`
	}
	when := time.Date(2026, 11, 20, 5, 36, 26, 5e6, time.UTC)
	cases := []struct {
		i    int
		into any
		want any // nil: an error
	}{
		{0, new(string), "a😀\ufffd"},
		{0, new(any), "a😀\ufffd"},
		{0, new(int), nil},
		{0, new([]byte), nil},
		{1, new(int), 7},
		{1, new(uint8), uint8(7)},
		{1, new(float64), 7.0},
		{1, new(string), nil},
		{1, new(any), 7.0},
		{2, new(float64), -1.5},
		{2, new(int), nil},
		{3, new(bool), true},
		{4, new(string), ""},
		{4, new(bool), false},
		{4, new(int), 0},
		{4, new(float64), 0.0},
		{4, new([]byte), []byte(nil)},
		{4, new(*int), (*int)(nil)},
		{4, new(time.Duration), time.Duration(0)},
		{5, new(message), message{"r", when, 1500 * time.Millisecond, []byte("zero")}},
		{5, new(json.RawMessage), nil},
		{6, new([]byte), []byte("one")},
		{6, new(any), []byte("one")},
		{6, new(string), nil},
		{7, new(any), []any{1.0, map[string]any{"x": []byte("two")}}},
		{8, new(float64), 0.0}, // beyond all doubles is null
		{8, new(int), 0},
		{9, new(map[string]int), map[string]int{"a": 2}},
		{9, new(json.RawMessage), json.RawMessage(`{"a":1,"a":2}`)},
		{10, new(string), nil},
		{-1, new(string), nil},
	}
	for _, c := range cases {
		err := args.Decode(c.i, c.into)
		got := reflect.ValueOf(c.into).Elem().Interface()
		if (err != nil) != (c.want == nil) || err == nil && !reflect.DeepEqual(got, c.want) {
			t.Errorf("argument %d into %T: %#v, %v; want %#v", c.i, c.into, got, err, c.want)
		}
	}
}

func TestValueKeepsBinaryParts(t *testing.T) {
	in := Payload{JSON: []byte(`[{"room":"r","msg":{"deep":[{"_placeholder":true,"num":0}]}}]`), Attachments: [][]byte{[]byte("zero")}}
	args, err := in.Args()
	if err != nil {
		t.Fatal(err)
	}
	var say struct {
		Room string `json:"room"`
		Msg  Value  `json:"msg"`
	}
	if err := args.Decode(0, &say); err != nil {
		t.Fatal(err)
	}
	out, err := EncodeEvent("said", []byte("first"), say)
	if err != nil {
		t.Fatal(err)
	}
	if want := `["said",{"_placeholder":true,"num":0},{"room":"r","msg":{"deep":[{"_placeholder":true,"num":1}]}}]`; string(out.JSON) != want {
		t.Errorf("%s\nwant %s", out.JSON, want)
	}
	var deep struct {
		Deep [][]byte `json:"deep"`
	}
	if err := say.Msg.Decode(&deep); err != nil || len(deep.Deep) != 1 || string(deep.Deep[0]) != "zero" {
		t.Errorf("decoded %q, %v", deep.Deep, err)
	}
}

func TestScanLeavesWhatWasNotSent(t *testing.T) {
	args, err := Payload{JSON: []byte(`["x"]`)}.Args()
	if err != nil {
		t.Fatal(err)
	}
	s, n := "", 9
	if err := args.Scan(&s, &n); err != nil || s != "x" || n != 9 {
		t.Errorf("%q %d %v", s, n, err)
	}
}

func TestPlainValuesEncodeWithoutAllocating(t *testing.T) {
	buf := make([]byte, 0, 256)
	args := []any{"hello", 42, true, 1.5, nil}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = AppendEvent(buf, nil, "said", args...) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseEvent(f *testing.F) {
	for _, s := range []string{`["e",1]`, `[1,{"_placeholder":true,"num":0}]`, `["\u0063",[[]],{"a":{"b":null}}]`, `[" ",1e5,-0.1E-7,"\ud800"]`, `["e",{"a":1,"a":[true,false]}]`} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte(s), uint8(2))
	}
	for _, costly := range []string{ // each was an attack
		`"n"` + strings.Repeat(",3e-324", 5000), `"n"` + strings.Repeat(",1e400", 5000),
		`"n"` + strings.Repeat(`,{"_placeholder":true,"num":0}`, 2000), `"n",` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		`"n"` + strings.Repeat(`,{}`, 5000), `"` + strings.Repeat(`\ud83d\ude00`, 2000) + `"`,
		`"n",1` + strings.Repeat("0", 20_000), `"n",0.` + strings.Repeat("9", 20_000),
	} {
		f.Add([]byte("["+costly+"]"), uint8(0))
		f.Add([]byte("["+costly+"]"), uint8(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, attachments uint8) {
		defer testkit.BoundCost(t, len(in))()
		n := int(attachments % 11)
		name, args, err := ParseEvent(in, n)
		if err != nil {
			if errors.Is(err, ErrSyntax) && json.Valid(in) {
				t.Errorf("%q is JSON", in)
			}
			return
		}
		if in != nil && !json.Valid(in) {
			t.Fatalf("%q is no JSON", in)
		}
		list := make([][]byte, n)
		for i := range list {
			list[i] = []byte{byte(i)}
		}
		args = args.With(list)
		for i := range args.Len() {
			var v any
			_ = args.Decode(i, &v)
			var raw json.RawMessage
			_ = args.Decode(i, &raw)
			var s struct{ A, B any }
			_ = args.Decode(i, &s)
			var value Value
			if err := args.Decode(i, &value); err != nil {
				t.Errorf("%q: %v", args.Raw(i), err)
			}
		}
		p, err := EncodeEvent(string(name), args)
		if err != nil {
			t.Fatal(err)
		}
		_, again, err := p.Event()
		if err != nil && !Reserved(string(name)) {
			t.Fatalf("%q became %q: %v", in, p.JSON, err)
		}
		if err == nil && again.String() != args.String() {
			t.Errorf("%q became %q", args, again)
		}
	})
}

func BenchmarkEncodeEvent(b *testing.B) {
	type said struct {
		From string `json:"from"`
		Text string `json:"text"`
		N    int    `json:"n"`
	}
	buf := make([]byte, 0, 512)
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _, _ = AppendEvent(buf, nil, "said", "hello, world", 42)
		}
	})
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		v := &said{"someone", "hello, world", 42}
		for b.Loop() {
			_, _, _ = AppendEvent(buf, nil, "said", v)
		}
	})
	b.Run("args", func(b *testing.B) {
		b.ReportAllocs()
		_, args, _ := ParseEvent([]byte(`["echo","hello, world",{"n":42}]`), 0)
		for b.Loop() {
			_, _, _ = AppendEvent(buf, nil, "said", args)
		}
	})
}

func BenchmarkParseEvent(b *testing.B) {
	text := []byte(`["echo","hello, world",{"n":42,"list":[1,2,3]}]`)
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = ParseEvent(text, 0)
	}
}
