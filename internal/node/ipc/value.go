package ipc

// Value is a JavaScript value: nil for null, [Undefined], bool, float64, string, []byte for binary
// data of any kind, [Date], [*Object], [*Array], or [Opaque].
type Value any

// Undefined is JavaScript's undefined, and a hole in an array.
type Undefined struct{}

// Date is a point in time, in milliseconds since 1970. NaN is an invalid date.
type Date float64

// Opaque is a value that can be passed on only in its unchanged frame.
type Opaque uint8

// The kinds of Opaque. JSON.stringify turns all of them into {}, except a BigInt, which it
// refuses.
const (
	Map Opaque = 1 + iota
	Set
	RegExp
	Error
	BigInt
)

// Object is an object. It keeps the order of its properties.
type Object struct {
	Keys   []string
	Values []Value
}

// Get returns a property, or [Undefined].
func (o *Object) Get(key string) Value {
	for i, k := range o.Keys {
		if k == key {
			return o.Values[i]
		}
	}
	return Undefined{}
}

// Set adds a property, and returns o. The key must be new.
func (o *Object) Set(key string, v Value) *Object {
	o.Keys = append(o.Keys, key)
	o.Values = append(o.Values, v)
	return o
}

// Array is an array.
type Array struct{ Items []Value }

// Text returns a property that is a string, or "".
func (o *Object) Text(key string) string {
	s, _ := o.Get(key).(string)
	return s
}

// Int returns a property that is an integer.
func (o *Object) Int(key string) (n int, ok bool) { return Int(o.Get(key)) }

// Object returns a property that is an object, or nil. A nil Object has no properties.
func (o *Object) Object(key string) *Object {
	p, _ := o.Get(key).(*Object)
	if p == nil {
		p = &Object{}
	}
	return p
}

// Int reads a value as an integer that JavaScript can represent exactly.
func Int(v Value) (n int, ok bool) {
	f, ok := v.(float64)
	if !ok || f != float64(int64(f)) || f > maxSafe || f < -maxSafe {
		return 0, false
	}
	return int(f), true
}

// maxSafe is Number.MAX_SAFE_INTEGER.
const maxSafe = 1<<53 - 1
