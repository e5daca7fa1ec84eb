package pm2

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// value is one value of a file: nil, bool, float64, string, []value or *object.
type value any

// object keeps its keys in the order of the file, like JavaScript.
type object struct {
	keys   []string
	values map[string]value
}

func newObject() *object { return &object{values: map[string]value{}} }

func (o *object) set(key string, v value) {
	if _, known := o.values[key]; !known {
		o.keys = append(o.keys, key)
	}
	o.values[key] = v
}

func (o *object) get(key string) (value, bool) {
	v, ok := o.values[key]
	return v, ok
}

// typeOf names a value's type for messages.
func typeOf(v value) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case float64:
		return "a number"
	case string:
		return "text"
	case []value:
		return "a list"
	}
	return "an object"
}

// text returns a value as an environment variable has it: like JavaScript's String, with objects
// and lists as JSON.
func text(v value) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return numberText(v)
	case string:
		return v
	}
	var b strings.Builder
	writeJSON(&b, v)
	return b.String()
}

// numberText returns a number as JavaScript prints it.
func numberText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		if f < 0 {
			return "-Infinity"
		}
		return "Infinity"
	case f == 0:
		return "0"
	}
	if size := math.Abs(f); size >= 1e-6 && size < 1e21 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	return mantissa + "e" + exponent[:1] + strings.TrimLeft(exponent[1:], "0")
}

func writeJSON(b *strings.Builder, v value) {
	switch v := v.(type) {
	case []value:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, e)
		}
		b.WriteByte(']')
	case *object:
		b.WriteByte('{')
		for i, key := range v.keys {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, key)
			b.WriteByte(':')
			writeJSON(b, v.values[key])
		}
		b.WriteByte('}')
	case string:
		writeString(b, v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			b.WriteString("null")
			return
		}
		b.WriteString(numberText(v))
	default:
		b.WriteString(text(v))
	}
}

func writeString(b *strings.Builder, s string) {
	var quoted strings.Builder
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // text always encodes, and a builder takes all
	b.WriteString(strings.TrimSuffix(quoted.String(), "\n"))
}

// plain returns a value in the types of encoding/json.
func plain(v value) any {
	switch v := v.(type) {
	case []value:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plain(e)
		}
		return list
	case *object:
		m := make(map[string]any, len(v.keys))
		for key, e := range v.values {
			m[key] = plain(e)
		}
		return m
	}
	return v
}
