package supervisor

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func hosted(t *testing.T, name string, h Host) Spec {
	h.Place = "host"
	return Spec{Name: name, Unlined: true, Command: fake(t, "hosted"), Host: &h}
}

func TestHostGetsChannelsAndMakesChildrenReady(t *testing.T) {
	var asked testkit.Output
	h := run(t, Config{Lasting: true, FirstID: 41,
		OnListen: func(name, addr string) { asked.Write([]byte(name + " " + addr + "\n")) },
		Specs: []Spec{
			hosted(t, "w1", Host{Channel: "advanced", Cluster: true, Slot: 1}), // waits for its host, wherever that stands
			{Name: "host", Command: fake(t, "host")},
			hosted(t, "w2", Host{Channel: "json", Slot: 2}),
			hosted(t, "p", Host{Port: true, Slot: 3}),
		}})
	h.wait("all ready", allReady)
	w1, w2, p := h.status("w1"), h.status("w2"), h.status("p")
	// The children say over their channels what they found in their environments; the host reports it as the worker's id.
	if got := w1.Attrs["worker"]; got != "advanced "+w1.ID || w1.ID == "" {
		t.Errorf("w1: %q, id %s", got, w1.ID)
	}
	if got := w2.Attrs["worker"]; got != "json " { // no cluster: no id
		t.Errorf("w2: %q", got)
	}
	if got := p.Attrs["worker"]; p.Port == 0 || got != "127.0.0.1:"+strconv.Itoa(p.Port) || p.Attrs[ReadyBy] != "port" {
		t.Errorf("p: %+v", p)
	}
	if ids := w1.ID + w2.ID + p.ID; strings.Count(ids, "41") == 0 || w1.ID == w2.ID {
		t.Errorf("ids: %q", ids)
	}
	if err := h.Send("w2", json.RawMessage(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	h.wait("the message heard", func([]Status) bool { return h.status("w2").Attrs[ReadyBy] == `got {"a":1}` })
	if err := h.Send("p", json.RawMessage(`1`)); err == nil {
		t.Error("a program without a channel took a message")
	}
	h.wait("the wish to listen", func([]Status) bool { h.Poke(); return strings.Contains(asked.String(), "w1 :3000\n") })
}

// However long a Node process takes to read its script, it counts as ready only after that.
func TestProcessSettlesFromItsFirstBeatOn(t *testing.T) {
	spec := hosted(t, "w", Host{Channel: "json"})
	spec.Command = fake(t, "beats")
	spec.Readiness = Readiness{AtStart: true, Settle: time.Millisecond, Timeout: time.Hour}
	h := run(t, Config{Lasting: true, Specs: []Spec{{Name: "host", Command: fake(t, "host")}, spec}})
	h.wait("started", stateIs("w", Starting))
	if err := h.Send("w", json.RawMessage("1")); err != nil {
		t.Fatal(err)
	}
	h.wait("ready", stateIs("w", Ready))
}

func TestHostedProcessesEndAndComeBackWithTheirHost(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{
		{Name: "host", Command: fake(t, "host")},
		hosted(t, "w", Host{Channel: "advanced", Cluster: true}),
		hosted(t, "deaf", Host{Port: true}), // knows nothing of its host's end
	}})
	before := h.wait("ready", allReady)
	syscall.Kill(before[0].PID, syscall.SIGKILL)
	h.wait("all anew", func(st []Status) bool {
		for i := range st {
			if st[i].PID == before[i].PID || st[i].State != Ready {
				return false
			}
		}
		return true
	})
	if w := h.status("w"); w.Restarts != 0 || w.Unstable != 0 {
		t.Errorf("it was not its fault: %+v", w)
	}
}

func TestHostThatCannotRunIsNotWaitedFor(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{
		hosted(t, "early", Host{Port: true}),
		{Name: "host", FatalCode: 2, Command: fake(t, "exit", "2")},
	}})
	h.wait("both given up", func(st []Status) bool { return st[0].State == Errored && st[1].State == Errored })
	if err := h.Add(hosted(t, "late", Host{Port: true})); err != nil {
		t.Fatal(err)
	}
	if st := h.status("late"); st.State != Errored || !strings.Contains(st.Reason, "host") {
		t.Errorf("%+v", st)
	}
}

func TestReloadDrainsThroughTheHost(t *testing.T) {
	spec := hosted(t, "w", Host{Channel: "advanced", Cluster: true, Drain: time.Minute})
	h := run(t, Config{Lasting: true, Specs: []Spec{{Name: "host", Command: fake(t, "host")}, spec}})
	before := h.wait("ready", allReady)
	if err := h.Roll(t.Context(), []Spec{spec}, 1); err != nil {
		t.Fatal(err)
	}
	e := h.exit()
	if e.PID != before[1].PID || !e.Planned {
		t.Errorf("%+v", e)
	}
	h.wait("drained first", func([]Status) bool { h.Poke(); return strings.Contains(h.out.String(), "drained "+before[1].ID) })
}

// TestStopTimeoutBeginsWhenSessionsHaveLeft: PM2's kill_timeout of 1.6 s is no time for a thousand sessions to move.
func TestStopTimeoutBeginsWhenSessionsHaveLeft(t *testing.T) {
	s := &Supervisor{cfg: Config{StopTimeout: 35 * time.Second}}
	for _, c := range []struct {
		host *Host
		stop time.Duration
		want time.Duration
	}{
		{nil, 0, 35 * time.Second},
		{nil, time.Second, time.Second},
		{&Host{}, time.Second, time.Second},
		{&Host{Drain: 50 * time.Second}, time.Second, 50 * time.Second},
		{&Host{Drain: 50 * time.Second}, time.Minute, time.Minute},
	} {
		p := &process{spec: &Spec{Host: c.host, Stop: StopRule{Timeout: c.stop}}}
		if got := s.leaveTimeout(p); got != c.want {
			t.Errorf("%+v: %v, want %v", c, got, c.want)
		}
	}
}

func TestMessageInPlaceOfASignal(t *testing.T) {
	spec := hosted(t, "w", Host{Channel: "json"})
	spec.Stop = StopRule{Message: `"shutdown"`, Timeout: 20 * time.Second}
	h := run(t, Config{Lasting: true, Specs: []Spec{{Name: "host", Command: fake(t, "host")}, spec}})
	h.wait("ready", allReady)
	if err := h.Stop("w"); err != nil {
		t.Fatal(err)
	}
	if e := h.exit(); e.Code != 9 { // with which it answers the message
		t.Errorf("%+v", e)
	}
}

func TestProcessMayAskToBeReplaced(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{{Name: "host", Command: fake(t, "host")}, hosted(t, "w", Host{Channel: "json"})}})
	before := h.wait("ready", allReady)[1]
	if err := h.Send("w", json.RawMessage(`"leave"`)); err != nil {
		t.Fatal(err)
	}
	if e := h.exit(); e.PID != before.PID || !e.Planned {
		t.Errorf("%+v", e)
	}
	if w := h.status("w"); w.State != Ready || w.PID == before.PID || w.Restarts != 0 || w.Renewed != 1 {
		t.Errorf("%+v", w)
	}
}

func TestProbeMakesReady(t *testing.T) {
	answers := make(chan int, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case code := <-answers:
			w.WriteHeader(code)
		default:
			w.WriteHeader(http.StatusOK)
		}
	}))
	defer server.Close()
	answers <- http.StatusServiceUnavailable
	h := run(t, Config{Lasting: true, Specs: []Spec{{Name: "a", Command: fake(t, "mute"), Readiness: Readiness{Probe: server.URL + "/ready"}}}})
	h.wait("ready", allReady)
	if len(answers) > 0 {
		t.Error("nobody asked")
	}
}
