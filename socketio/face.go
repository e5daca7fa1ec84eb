package socketio

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Args are the raw arguments of an event or an acknowledgement.
type Args = packet.Args

// Ack answers an event, once. As a handler's parameter it is nil when the client asked for no answer.
type Ack func(args ...any) error

// Error is an error that the client is shown.
type Error struct {
	Message string
	Data    any
}

func (e *Error) Error() string { return e.Message }

// Config configures a Server. It also embeds engineio.Config (Path, NewSID, PingInterval, ...), once that package is there.
type Config struct {
	ConnectTimeout time.Duration
	Adapter        Cluster
	Log            zerolog.Logger
	Metrics        prometheus.Registerer
}

type Server struct {
	*Namespace
}

func New(Config) (*Server, error)                                  { panic("being built") }
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { panic("being built") }
func (s *Server) Handle(pattern string, h http.Handler)            { panic("being built") }
func (s *Server) Of(name string) *Namespace                        { panic("being built") }
func (s *Server) Run(ctx context.Context) error                    { panic("being built") }
func (s *Server) Drain(ctx context.Context, perSecond int) error   { panic("being built") }

type Namespace struct{}

func (n *Namespace) Name() string                                     { panic("being built") }
func (n *Namespace) Use(f func(ctx context.Context, s *Socket) error) { panic("being built") }
func (n *Namespace) OnConnect(f func(s *Socket))                      { panic("being built") }
func (n *Namespace) OnDisconnect(f func(s *Socket, reason string))    { panic("being built") }
func (n *Namespace) On(event string, handler any)                     { panic("being built") }
func (n *Namespace) OnAny(f func(s *Socket, event string, args Args)) { panic("being built") }
func (n *Namespace) OnServer(event string, handler any)               { panic("being built") }
func (n *Namespace) Sockets() iter.Seq[*Socket]                       { panic("being built") }
func (n *Namespace) To(rooms ...string) Operator                      { panic("being built") }
func (n *Namespace) In(rooms ...string) Operator                      { panic("being built") }
func (n *Namespace) Except(rooms ...string) Operator                  { panic("being built") }
func (n *Namespace) Local() Operator                                  { panic("being built") }
func (n *Namespace) Volatile() Operator                               { panic("being built") }
func (n *Namespace) Compress(on bool) Operator                        { panic("being built") }
func (n *Namespace) Timeout(d time.Duration) Operator                 { panic("being built") }
func (n *Namespace) Emit(event string, args ...any) error             { panic("being built") }
func (n *Namespace) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	panic("being built")
}
func (n *Namespace) FetchSockets(ctx context.Context) ([]RemoteSocket, error) { panic("being built") }
func (n *Namespace) SocketsJoin(rooms ...string) error                        { panic("being built") }
func (n *Namespace) SocketsLeave(rooms ...string) error                       { panic("being built") }
func (n *Namespace) DisconnectSockets(closeTransport bool) error              { panic("being built") }
func (n *Namespace) ServerSideEmit(event string, args ...any) error           { panic("being built") }
func (n *Namespace) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	panic("being built")
}
func (n *Namespace) ServerCount(ctx context.Context) (int, error) { panic("being built") }

type Operator struct{}

func (o Operator) To(rooms ...string) Operator          { panic("being built") }
func (o Operator) In(rooms ...string) Operator          { panic("being built") }
func (o Operator) Except(rooms ...string) Operator      { panic("being built") }
func (o Operator) Local() Operator                      { panic("being built") }
func (o Operator) Volatile() Operator                   { panic("being built") }
func (o Operator) Compress(on bool) Operator            { panic("being built") }
func (o Operator) Timeout(d time.Duration) Operator     { panic("being built") }
func (o Operator) Emit(event string, args ...any) error { panic("being built") }
func (o Operator) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	panic("being built")
}
func (o Operator) FetchSockets(ctx context.Context) ([]RemoteSocket, error) { panic("being built") }
func (o Operator) SocketsJoin(rooms ...string) error                        { panic("being built") }
func (o Operator) SocketsLeave(rooms ...string) error                       { panic("being built") }
func (o Operator) DisconnectSockets(closeTransport bool) error              { panic("being built") }

type RemoteSocket struct{ SocketInfo }

func (r RemoteSocket) Emit(event string, args ...any) error { panic("being built") }
func (r RemoteSocket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	panic("being built")
}
func (r RemoteSocket) Join(rooms ...string) error           { panic("being built") }
func (r RemoteSocket) Leave(rooms ...string) error          { panic("being built") }
func (r RemoteSocket) Disconnect(closeTransport bool) error { panic("being built") }

type Socket struct{}

func (s *Socket) ID() string                           { panic("being built") }
func (s *Socket) SID() string                          { panic("being built") }
func (s *Socket) Namespace() *Namespace                { panic("being built") }
func (s *Socket) Handshake() *Handshake                { panic("being built") }
func (s *Socket) Transport() string                    { panic("being built") }
func (s *Socket) Context() context.Context             { panic("being built") }
func (s *Socket) Join(rooms ...string)                 { panic("being built") }
func (s *Socket) Leave(rooms ...string)                { panic("being built") }
func (s *Socket) Rooms() []string                      { panic("being built") }
func (s *Socket) On(event string, handler any)         { panic("being built") }
func (s *Socket) Emit(event string, args ...any) error { panic("being built") }
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	panic("being built")
}
func (s *Socket) To(rooms ...string) Operator     { panic("being built") }
func (s *Socket) In(rooms ...string) Operator     { panic("being built") }
func (s *Socket) Except(rooms ...string) Operator { panic("being built") }
func (s *Socket) Broadcast() Operator             { panic("being built") }
func (s *Socket) Disconnect(closeTransport bool)  { panic("being built") }
func (s *Socket) Set(key string, v any)           { panic("being built") }
func (s *Socket) Get(key string) any              { panic("being built") }
func (s *Socket) Data() map[string]any            { panic("being built") }
func (s *Socket) Cork(f func())                   { panic("being built") }

// Hub links servers of one process.
type Hub struct{}

func NewHub() *Hub                               { panic("being built") }
func (h *Hub) Open(local Local) (Adapter, error) { panic("being built") }
func (h *Hub) Run(ctx context.Context) error     { panic("being built") }

var _ Cluster = (*Hub)(nil)
