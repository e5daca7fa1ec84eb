package socketio

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// ErrNoValue reports a key that has no value for a socket.
var ErrNoValue = errors.New("no value")

// Key names a value of type T that a socket shares with all servers: one member of the socket's
// data, which Node's servers call socket.data. FetchSockets shows the value to other servers, and a
// client that is recovered has it on its new server. Make keys at the start of the program, and
// give them to Namespace.Share:
//
//	var user = socketio.NewKey[User]("user")
//
//	io.Share(user)
//	io.Use(func(ctx context.Context, s *socketio.Socket) error { return user.Set(s, authenticated(ctx, s)) })
//	io.On("order", func(s *socketio.Socket, o order) error {
//		u, err := user.Get(s)
//		…
//	})
//
// The value travels as JSON. Set encodes it, and Get returns what another server would get: the
// value is the same before and after the client's move. Values that can't travel are for a [Local].
type Key[T any] struct {
	name    string
	flat    bool // T has no references, and a decoded value may be kept and copied
	exact   bool // == tells whether two values are the same
	missing error
}

// AnyKey is a Key of any type.
type AnyKey interface {
	// Name returns the name of the member.
	Name() string
	// read decodes a value. The result is nil if it must be decoded for each Get.
	read(v packet.Value) (kept any, err error)
	valueType() reflect.Type
}

// AnySocket is a *Socket or a RemoteSocket.
type AnySocket interface {
	// member returns an encoded member of the socket's data and, if there is one, its decoded
	// value.
	member(key AnyKey) (packet.Value, any, error)
}

var (
	_ AnySocket = (*Socket)(nil)
	_ AnySocket = RemoteSocket{}
	_ AnyKey    = (*Key[any])(nil)
)

// NewKey returns a key for the member name of sockets' data. It panics if values of type T have no
// form in JSON, or if name can't be the name of a member.
func NewKey[T any](name string) *Key[T] {
	t := reflect.TypeFor[T]()
	rule := unfit(t, nil)
	if name == "" || name == "__proto__" || !utf8.ValidString(name) {
		rule = "the name must be UTF-8, and neither empty nor __proto__"
	}
	if rule != "" {
		panic(fmt.Sprintf("socketio: NewKey[%v](%q): %s", t, name, rule))
	}
	k := &Key[T]{name: name, missing: fmt.Errorf("socketio: key %q: %w", name, ErrNoValue)}
	k.flat, k.exact = flatness(t)
	return k
}

// Name returns the name of the member.
func (k *Key[T]) Name() string { return k.name }

func (k *Key[T]) valueType() reflect.Type { return reflect.TypeFor[T]() }

// Set stores a value. If the value can't be encoded, or wouldn't be the same after decoding, Set
// returns an error and stores nothing; so it does if the socket's data would exceed
// Config.MaxDataBytes, or if the namespace doesn't share the key.
func (k *Key[T]) Set(s *Socket, v T) error {
	value, err := packet.EncodeExact(v)
	if err != nil {
		return fmt.Errorf("socketio: key %q: %w", k.name, err)
	}
	var copied T
	if err := value.Decode(&copied); err != nil {
		return fmt.Errorf("socketio: key %q: value can't be decoded again: %w", k.name, err)
	}
	if !k.same(v, copied, value) {
		return fmt.Errorf("socketio: key %q: value of type %T isn't the same after decoding", k.name, v)
	}
	return s.setMember(k, member{name: k.name, value: value, kept: k.keep(copied)})
}

// same reports whether the decoded copy of v is v, as far as one can tell.
func (k *Key[T]) same(v, copied T, value packet.Value) bool {
	if k.exact {
		return any(v) == any(copied)
	}
	again, err := packet.EncodeExact(copied)
	return err == nil && again.Equal(value)
}

func (k *Key[T]) keep(v T) any {
	if !k.flat {
		return nil
	}
	return v
}

// Get returns the socket's value, which the caller may change. The error is ErrNoValue, wrapped, if
// there is none. Other errors are a key that the namespace doesn't share and, for a RemoteSocket, a
// value of another type: a program that treats every error alike denies in doubt.
func (k *Key[T]) Get(s AnySocket) (v T, err error) {
	value, kept, err := s.member(k)
	switch {
	case err == ErrNoValue:
		return v, k.missing
	case err != nil:
		return v, fmt.Errorf("socketio: key %q: %w", k.name, err)
	case kept != nil:
		return kept.(T), nil
	}
	if err = value.Decode(&v); err != nil {
		return *new(T), fmt.Errorf("socketio: key %q: %w", k.name, err)
	}
	return v, nil
}

func (k *Key[T]) read(value packet.Value) (any, error) {
	var v T
	if err := value.Decode(&v); err != nil {
		return nil, fmt.Errorf("key %q: %w", k.name, err)
	}
	return k.keep(v), nil
}

// Delete removes the socket's value.
func (k *Key[T]) Delete(s *Socket) { s.deleteMember(k.name) }

// Share declares the keys that sockets of the namespace may have values of. A client whose stored
// value doesn't fit a declared key isn't recovered but starts anew. Share panics if another key of
// the namespace has the same name. On a Server it counts for the namespace "/".
func (n *Namespace) Share(keys ...AnyKey) {
	n.edit(func(r *registry) {
		all := make(map[string]AnyKey, len(r.keys)+len(keys))
		for _, k := range r.keys {
			all[k.Name()] = k
		}
		for _, k := range keys {
			if other := all[k.Name()]; other != nil && other != k {
				panic(fmt.Sprintf("socketio: Share(%q): the namespace has a key of that name, of type %v", k.Name(), other.valueType()))
			}
			all[k.Name()] = k
		}
		r.keys = all
	})
}

// member is one member of a socket's data.
type member struct {
	name  string
	value packet.Value
	kept  any // decoded, for a Key of flat values
}

// data is the shared data of a socket, ordered by name. It is immutable.
type data []member

func (d data) find(name string) (int, bool) {
	return slices.BinarySearchFunc(d, name, func(m member, name string) int { return strings.Compare(m.name, name) })
}

// with returns d with m in it.
func (d data) with(m member) data {
	i, found := d.find(m.name)
	d = slices.Clone(d)
	if found {
		d[i] = m
		return d
	}
	return slices.Insert(d, i, m)
}

// memberOverhead is what a member counts beside its name and value.
const memberOverhead = 64

// size is the size of d as Config.MaxDataBytes counts it.
func (d data) size() (n int) {
	for i := range d {
		n += memberOverhead + len(d[i].name) + d[i].value.Size()
	}
	return n
}

// payload is the text of an object, as it travels.
func (d data) payload() packet.Payload {
	if len(d) == 0 {
		return packet.Payload{JSON: []byte("{}")}
	}
	object := make(map[string]packet.Value, len(d))
	for i := range d {
		object[d[i].name] = d[i].value
	}
	p, err := packet.EncodeArgs(object)
	if err != nil { // each value has been encoded before
		return packet.Payload{JSON: []byte("{}")}
	}
	return p.Single()
}

// objectArgs returns an object as the only one of Args.
func objectArgs(object packet.Payload) (Args, error) {
	text := slices.Concat([]byte{'['}, object.JSON, []byte{']'})
	return packet.Payload{JSON: text, Attachments: object.Attachments}.Args()
}

// members reads an object that travelled here.
func members(object packet.Payload) (map[string]packet.Value, error) {
	args, err := objectArgs(object)
	if err != nil {
		return nil, err
	}
	var all map[string]packet.Value
	if err := args.Decode(0, &all); err != nil {
		return nil, err
	}
	return all, nil
}

// readData reads the data of a snapshot. It fails if a value doesn't fit the key of its name, or if
// there is more than at most bytes. Members without a key stay as they are: another version of the
// app may know them.
func readData(object packet.Payload, keys map[string]AnyKey, most int) (data, error) {
	all, err := members(object)
	if err != nil {
		return nil, err
	}
	d := make(data, 0, len(all))
	for name, value := range all {
		m := member{name: name, value: value}
		if k := keys[name]; k != nil {
			if m.kept, err = k.read(value); err != nil {
				return nil, err
			}
		}
		d = append(d, m)
	}
	if n := d.size(); n > most {
		return nil, fmt.Errorf("%d bytes of data, at most %d are allowed", n, most)
	}
	slices.SortFunc(d, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return d, nil
}

var errNotShared = errors.New("the namespace doesn't share it; see Namespace.Share")

func (s *Socket) shares(k AnyKey) bool { return s.nsp.registry.Load().keys[k.Name()] == k }

// member implements AnySocket.
func (s *Socket) member(k AnyKey) (packet.Value, any, error) {
	if !s.shares(k) {
		return packet.Value{}, nil, errNotShared
	}
	d := s.data()
	i, found := d.find(k.Name())
	if !found {
		return packet.Value{}, nil, ErrNoValue
	}
	return d[i].value, d[i].kept, nil
}

func (s *Socket) data() data {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extra == nil {
		return nil
	}
	return s.extra.data
}

func (s *Socket) setMember(k AnyKey, m member) error {
	if !s.shares(k) {
		return fmt.Errorf("socketio: key %q: %w", m.name, errNotShared)
	}
	s.mu.Lock()
	x := s.extraLocked()
	d := x.data.with(m)
	if most := s.nsp.server.cfg.MaxDataBytes; d.size() > most {
		s.mu.Unlock()
		return fmt.Errorf("socketio: key %q: the socket's data would exceed %d bytes", m.name, most)
	}
	x.data = d
	s.mu.Unlock()
	s.changed()
	return nil
}

func (s *Socket) deleteMember(name string) {
	s.mu.Lock()
	x := s.extraLocked()
	i, found := x.data.find(name)
	if found {
		x.data = slices.Delete(slices.Clone(x.data), i, i+1)
	}
	s.mu.Unlock()
	if found {
		s.changed()
	}
}

var (
	typeTime  = reflect.TypeFor[time.Time]()
	typeValue = reflect.TypeFor[packet.Value]()
)

// unfit returns why values of type t can't travel, or "".
func unfit(t reflect.Type, within []reflect.Type) string {
	if slices.Contains(within, t) || encodesItself(t) {
		return ""
	}
	within = append(within, t)
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128, reflect.Uintptr:
		return fmt.Sprintf("%v has no form in JSON; see Local", t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Sprintf("%v can't be decoded into: use a concrete type", t)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return unfit(t.Elem(), within)
	case reflect.Map:
		return unfit(t.Elem(), within)
	case reflect.Struct:
		visible := t.NumField() == 0
		for f := range t.Fields() {
			if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
				continue
			}
			visible = true
			if rule := unfit(f.Type, within); rule != "" {
				return fmt.Sprintf("field %s: %s", f.Name, rule)
			}
		}
		if !visible {
			return fmt.Sprintf("%v has no exported fields; see Local", t)
		}
	}
	return ""
}

// encodesItself reports whether t has methods that make and read its form.
func encodesItself(t reflect.Type) bool {
	if t == typeTime || t == typeValue {
		return true
	}
	p := reflect.PointerTo(t)
	for _, method := range []string{"UnmarshalJSON", "UnmarshalJSONFrom", "UnmarshalText"} {
		if _, ok := p.MethodByName(method); ok {
			return true
		}
	}
	return false
}

// flatness reports whether a copy of a value of type t shares nothing with it, and whether ==
// compares all of it.
func flatness(t reflect.Type) (flat, exact bool) {
	if t == typeTime {
		return true, false
	}
	switch t.Kind() {
	case reflect.Array:
		return flatness(t.Elem())
	case reflect.Struct:
		flat, exact = true, true
		for f := range t.Fields() {
			fieldFlat, fieldExact := flatness(f.Type)
			flat, exact = flat && fieldFlat, exact && fieldExact
		}
		return flat, exact
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return true, true
	}
	return false, false
}
