//go:build e2e

package interop

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"time"
)

// payload is the arguments of an event, as an app would write them in Go and in JavaScript (for
// which e2e/js/values.mjs says what stands for what JSON has no word for).
type payload struct {
	name       string
	golang     []any
	javascript string
}

// object keeps the order of its members, which a map would not.
type (
	letters struct {
		Z any `json:"z"`
		A any `json:"a"`
	}
	maybe struct {
		Here  any `json:"here"`
		There any `json:"there,omitempty"`
	}
)

const megabyte = 1 << 20

var (
	someBytes = []byte{0, 1, 2, 0xff}
	someTime  = time.UnixMilli(1_795_000_000_123)
)

var payloads = []payload{
	{"text", []any{"hello", true, letters{1, []any{"b", letters{nil, "c"}}}},
		`["hello", true, {"z": 1, "a": ["b", {"z": null, "a": "c"}]}]`},
	{"nothing", nil, `[]`},
	{"unicode", []any{"テスト <&> \u2028 😀 \u0000\u001f\"\\", map[string]string{"é": "\u00a0"}},
		`["テスト <&> \u2028 😀 \u0000\u001f\"\\", {"é": "\u00a0"}]`},
	{"null and undefined", []any{nil, []any{nil}, maybe{Here: nil}, nil},
		`[null, [{"$undefined": true}], {"here": null, "there": {"$undefined": true}}, {"$undefined": true}]`},
	{"binary", []any{someBytes, []byte{}}, `[{"$bin": "AAEC/w=="}, {"$bin": ""}]`},
	{"nested binary", []any{letters{someBytes, []any{letters{1, []byte("deep")}, "x"}}, someBytes},
		`[{"z": {"$bin": "AAEC/w=="}, "a": [{"z": 1, "a": {"$bin": "ZGVlcA=="}}, "x"]}, {"$bin": "AAEC/w=="}]`},
	{"dates", []any{someTime, letters{someTime, nil}}, `[{"$date": 1795000000123}, {"z": {"$date": 1795000000123}, "a": null}]`},
	{"a date beside binary", []any{someTime, someBytes}, `[{"$date": 1795000000123}, {"$bin": "AAEC/w=="}]`},
	{"numbers", []any{0, -1, 127, 128, -129, 65536, 1 << 32, 1.5, 0.1, -2.5e-7, 5e-324, 9007199254740991, -9007199254740991},
		`[0, -1, 127, 128, -129, 65536, 4294967296, 1.5, 0.1, -2.5e-7, 5e-324, 9007199254740991, -9007199254740991]`},
	{"numbers beside binary", []any{0, 1.5, -32769, 9007199254740991, someBytes}, `[0, 1.5, -32769, 9007199254740991, {"$bin": "AAEC/w=="}]`},
	{"big integers", []any{int64(1) << 53, uint64(1) << 63, int64(math.MinInt64)}, `[9007199254740992, 9223372036854775808, -9223372036854775808]`},
	{"floats beyond 64 bits", []any{1e21, 1e300, -1e300, math.MaxFloat64}, `[1e21, 1e300, -1e300, 1.7976931348623157e308]`},
	{"floats beyond 64 bits beside binary", []any{1e300, someBytes}, `[1e300, {"$bin": "AAEC/w=="}]`},
	{"1 MB of text", []any{strings.Repeat("x", megabyte)}, `[{"$text": 1048576}]`},
	{"1 MB of binary", []any{letters{bytes.Repeat([]byte{7}, megabyte), 1}}, `[{"z": {"$bytes": 1048576}, "a": 1}]`},
}

// small are all but the last two, for operations that many clients hear.
var small = payloads[:len(payloads)-2]

// plain are the payloads of operations that treat all alike.
var plain = []payload{payloads[0], payloads[5]}

// none is the payload of operations that have no arguments.
var none = []payload{{name: "-", javascript: `[]`}}

func (p payload) js() json.RawMessage { return json.RawMessage(p.javascript) }
