package engineio

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// parking tells whether the responses of a test's fixtures can be parked: those of the tests here
// can, by their names.
func parking(t testing.TB) bool { return strings.HasPrefix(t.Name(), "TestParked") }

// TestParkedPolls runs the tests of polling where no poll waits on a goroutine of its own.
func TestParkedPolls(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"HandshakeOverPolling": TestHandshakeOverPolling, "MessagesBothWays": TestMessagesBothWays, "EchoLeavesBeforeOK": TestEchoLeavesBeforeOK,
		"PollPacketsBounded": TestPollPacketsBounded, "InvalidPayloads": TestInvalidPayloads, "PendingPollAtTheEnd": TestPendingPollAtTheEnd,
		"OtherMethods": TestOtherMethods, "PostLimit": TestPostLimit, "OverlappingPolls": TestOverlappingPolls, "OverlappingPosts": TestOverlappingPosts,
		"AbortedRequests": TestAbortedRequests, "CloseWithAPollPending": TestCloseWithAPollPending, "CloseBetweenPolls": TestCloseBetweenPolls,
		"CloseWithoutAnotherPoll": TestCloseWithoutAnotherPoll, "CorkGathers": TestCorkGathers, "VolatileNeedsAPendingPoll": TestVolatileNeedsAPendingPoll,
		"SlowPollingClient": TestSlowPollingClient, "HooksAndCookie": TestHooksAndCookie, "OldInternetExplorer": TestOldInternetExplorer,
		"JSONP": TestJSONP, "PollThatIsNotRead": TestPollThatIsNotRead,
	} {
		t.Run(name, test)
	}
}

// parks is a Server whose responses can be parked.
type parks struct{ *Server }

func (p parks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pw := &parkable{ResponseWriter: w, done: make(chan struct{})}
	p.Server.ServeHTTP(pw, r)
	if pw.gone == nil {
		return
	}
	select {
	case <-pw.done:
	case <-r.Context().Done():
		pw.gone()
		return
	}
	if _, err := w.Write(pw.text.Bytes()); err != nil || http.NewResponseController(w).Flush() != nil {
		pw.gone()
	}
}

// parkable keeps what is written once it is parked.
type parkable struct {
	http.ResponseWriter
	gone func()
	text bytes.Buffer
	done chan struct{}
}

func (w *parkable) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w *parkable) Park(gone func())            { w.gone = gone }

func (w *parkable) Write(b []byte) (int, error) {
	if w.gone != nil {
		return w.text.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

func (w *parkable) FlushError() error {
	if w.gone != nil {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *parkable) Done() error {
	close(w.done)
	return nil
}

// lost is a response that cannot be written any more.
type lost struct{ parkable }

func (w *lost) Done() error { return errors.New("gone") }

// A parked poll whose answer cannot be written ends its session, and whoever sent learns of it as
// of any end.
func TestParkedPollThatIsLost(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		req, err := http.NewRequest("GET", f.srv.Path()+"?EIO=4&transport=polling&sid="+sid, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := &lost{}
		w.ResponseWriter = discarded{}
		f.srv.ServeHTTP(w, req)
		if w.gone == nil {
			t.Fatal("it was not parked")
		}
		if err := r.s.Send(NewText([]byte("x"))); err != nil {
			t.Error(err)
		}
		r.wantClosed(t, TransportError)
	})
}

// discarded takes all.
type discarded struct{}

func (discarded) Header() http.Header         { return make(http.Header) }
func (discarded) Write(b []byte) (int, error) { return len(b), nil }
func (discarded) WriteHeader(int)             {}

// A goroutine of its own does the work that may take time or call the app, not the sender.
func TestParkedPollCallsTheAppElsewhere(t *testing.T) {
	bubble(t, Config{Headers: func(h http.Header, r *http.Request) {
		if r.URL.Query().Get("slow") != "" {
			time.Sleep(time.Second)
			h.Set("X-Slow", r.Method)
		}
	}}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		answered := make(chan *answer, 1)
		go func() { answered <- f.do("GET", "EIO=4&transport=polling&slow=1&sid="+sid, "") }()
		synctest.Wait()
		begin := time.Now()
		if err := r.s.Send(NewText([]byte("x"))); err != nil || time.Since(begin) != 0 {
			t.Errorf("Send took %v, %v", time.Since(begin), err)
		}
		a := <-answered
		if a.want(t, 200, "4x"); a.header.Get("X-Slow") != "GET" {
			t.Errorf("headers %v", a.header)
		}
	})
}
