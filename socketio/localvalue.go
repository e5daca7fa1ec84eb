package socketio

// Local is a value of type T that a socket has in this process only: a limiter, a channel, a
// connection. No other server sees it, and a client that is recovered comes without it:
// Namespace.OnRecover may make it again. Make a Local at the start of the program:
//
//	var limiter = socketio.NewLocal[*rate.Limiter]()
type Local[T any] struct {
	_ byte // so that no two have one address
}

// NewLocal returns a Local that no socket has a value of.
func NewLocal[T any]() *Local[T] { return new(Local[T]) }

// Set stores a value.
func (l *Local[T]) Set(s *Socket, v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extraLocked()
	if x.locals == nil {
		x.locals = make(map[any]any)
	}
	x.locals[l] = v
}

// Get returns the socket's value, and whether it has one.
func (l *Local[T]) Get(s *Socket) (v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extra == nil {
		return v, false
	}
	kept, ok := s.extra.locals[l]
	if !ok {
		return v, false
	}
	v, _ = kept.(T) // a nil interface stays one
	return v, true
}

// Delete removes the socket's value.
func (l *Local[T]) Delete(s *Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extra != nil {
		delete(s.extra.locals, l)
	}
}
