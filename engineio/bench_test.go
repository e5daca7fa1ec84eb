package engineio

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// nullLink takes everything and goes nowhere.
type nullLink struct{ bytes atomic.Int64 }

func (l *nullLink) start(*webSocket, []byte)    {}
func (l *nullLink) write(b []byte) (int, error) { l.bytes.Add(int64(len(b))); return len(b), nil }
func (l *nullLink) arm(*webSocket)              {}
func (l *nullLink) closeWrite()                 {}
func (l *nullLink) close()                      {}
func (l *nullLink) measure(*eventloop.Ending)   {}

func (l *nullLink) writev(v [][]byte) (n int, err error) {
	for _, b := range v {
		n += len(b)
	}
	return n, nil
}

// nullSession is a live WebSocket session on a nullLink.
func nullSession(srv *Server, l *nullLink) *Session {
	s := newSession(srv, fmt.Sprint(srv.Len()), httptest.NewRequest("GET", "/", nil))
	s.ws = &webSocket{session: s, link: l}
	srv.begin(s)
	return s
}

func BenchmarkFanOut(b *testing.B) {
	const sessions = 1000
	payload := make([]byte, 128)
	b.Run("memory", func(b *testing.B) {
		srv, err := New(Config{Open: func(*Session) Receiver { return nil }})
		if err != nil {
			b.Fatal(err)
		}
		var l nullLink
		var all []*Session
		for range sessions {
			all = append(all, nullSession(srv, &l))
		}
		b.ReportAllocs()
		for b.Loop() {
			m := NewText(payload)
			for _, s := range all {
				s.Send(m)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sessions, "ns/delivery")
		for _, s := range all {
			s.fail(ForcedClose, nil)
		}
		srv.tasks.Wait()
	})
	for _, drive := range []string{onSocket, onPoller} {
		b.Run(drive, func(b *testing.B) {
			f := serve(b, Config{}, drive)
			var all []*Session
			for range sessions {
				c := f.websocket("")
				all = append(all, f.session().s)
				go io.Copy(io.Discard, c)
			}
			b.ReportAllocs()
			for b.Loop() {
				m := NewText(payload)
				for _, s := range all {
					s.Send(m)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sessions, "ns/delivery")
		})
	}
}

func BenchmarkEcho(b *testing.B) {
	in := text("4echo:" + string(make([]byte, 94)))
	b.Run("memory", func(b *testing.B) {
		srv, err := New(Config{Open: func(s *Session) Receiver { return newRecorder(s) }})
		if err != nil {
			b.Fatal(err)
		}
		s := nullSession(srv, &nullLink{})
		s.ws.parser.limit = 1000
		buf := make([]byte, len(in))
		b.ReportAllocs()
		for b.Loop() {
			copy(buf, in)
			s.ws.feed(buf, nil)
		}
		s.fail(ForcedClose, nil)
		srv.tasks.Wait()
	})
	for _, drive := range []string{onPipe, onSocket, onPoller} {
		b.Run(drive, func(b *testing.B) {
			f := serve(b, Config{}, drive)
			c := f.websocket("")
			out := make([]byte, 2+100)
			b.ReportAllocs()
			for b.Loop() {
				c.Write(in)
				if _, err := io.ReadFull(c.r, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHandshake(b *testing.B) {
	b.Run("polling", func(b *testing.B) {
		srv, err := New(Config{Open: func(*Session) Receiver { return nil }})
		if err != nil {
			b.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/engine.io/?EIO=4&transport=polling&t=abc", nil)
		b.ReportAllocs()
		for b.Loop() {
			srv.ServeHTTP(&nullWriter{header: make(http.Header)}, r)
		}
		for s := range srv.Sessions() {
			s.fail(ForcedClose, nil)
		}
		srv.tasks.Wait()
	})
	for _, drive := range []string{onSocket, onPoller} {
		b.Run("websocket/"+drive, func(b *testing.B) {
			f := serve(b, Config{Open: func(*Session) Receiver { return nil }}, drive)
			b.ReportAllocs()
			for b.Loop() {
				f.websocket("").Close()
			}
		})
	}
}

func BenchmarkPoll(b *testing.B) {
	srv, err := New(Config{Open: func(*Session) Receiver { return nil }, NewSID: func(*http.Request) (string, error) { return "abc", nil }})
	if err != nil {
		b.Fatal(err)
	}
	srv.ServeHTTP(&nullWriter{header: make(http.Header)}, httptest.NewRequest("GET", "/engine.io/?EIO=4&transport=polling", nil))
	s := srv.sessions.get("abc")
	r := httptest.NewRequest("GET", "/engine.io/?EIO=4&transport=polling&sid=abc", nil)
	m := NewText(make([]byte, 100))
	b.ReportAllocs()
	for b.Loop() {
		s.Send(m)
		srv.ServeHTTP(&nullWriter{header: make(http.Header)}, r)
	}
	s.fail(ForcedClose, nil)
	srv.tasks.Wait()
}

// nullWriter is a response that nobody reads.
type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(int)             {}
func (w *nullWriter) Flush()                      {}
