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

// bound is a process with an agent at the place "agent".
func bound(t *testing.T, name string, h Hook) Spec {
	return Spec{Name: name, Unlined: true, Command: fake(t, "bound"), Agent: &Agent{Place: "agent", Hook: h}}
}

func agent(t *testing.T) Spec { return Spec{Name: "agent", Command: fake(t, "agent")} }

func TestAgentLearnsOfProcessesAndMakesThemReady(t *testing.T) {
	var asked testkit.Output
	h := run(t, Config{Lasting: true, FirstID: 41,
		OnListen: func(name, addr string) { asked.Write([]byte(name + " " + addr + "\n")) },
		Specs: []Spec{
			bound(t, "w1", channelHook{}), // waits for its agent, wherever that stands in the list
			agent(t),
			bound(t, "w2", channelHook{}),
			bound(t, "p", portHook{}),
		}})
	h.wait("all ready", allReady)
	w1, w2, p := h.status("w1"), h.status("w2"), h.status("p")
	// The children say over their channels by which number they know themselves; the agent reports
	// it as the worker's id.
	if got := w1.Attrs["worker"]; got != "bound "+w1.ID || w1.ID == "" {
		t.Errorf("w1: %q, id %s", got, w1.ID)
	}
	if got := w2.Attrs["worker"]; got != "bound "+w2.ID {
		t.Errorf("w2: %q, id %s", got, w2.ID)
	}
	if got := p.Attrs["worker"]; p.Port == 0 || got != "port "+strconv.Itoa(p.Port) || p.Attrs[ReadyBy] != "port" {
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

// However long a process takes to read its code, it counts as ready only after that.
func TestProcessSettlesOnceItHasLoaded(t *testing.T) {
	spec := bound(t, "w", channelHook{})
	spec.Command = fake(t, "loads")
	spec.Readiness = Readiness{AtStart: true, AfterLoad: true, Settle: time.Millisecond, Timeout: time.Hour}
	h := run(t, Config{Lasting: true, Specs: []Spec{agent(t), spec}})
	h.wait("started", stateIs("w", Starting))
	if err := h.Send("w", json.RawMessage("1")); err != nil {
		t.Fatal(err)
	}
	h.wait("ready", stateIs("w", Ready))
}

func TestProcessesEndAndComeBackWithTheirAgent(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{
		agent(t),
		bound(t, "w", channelHook{}),
		bound(t, "deaf", portHook{}), // learns nothing of its agent's end
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

func TestAgentThatCannotRunIsNotWaitedFor(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{
		bound(t, "early", portHook{}),
		{Name: "agent", FatalCode: 2, Command: fake(t, "exit", "2")},
	}})
	h.wait("both given up", func(st []Status) bool { return st[0].State == Errored && st[1].State == Errored })
	if err := h.Add(bound(t, "late", portHook{})); err != nil {
		t.Fatal(err)
	}
	if st := h.status("late"); st.State != Errored || !strings.Contains(st.Reason, "agent") {
		t.Errorf("%+v", st)
	}
}

func TestReloadDrainsThroughTheAgent(t *testing.T) {
	spec := bound(t, "w", channelHook{})
	spec.Agent.Drain = time.Minute
	h := run(t, Config{Lasting: true, Specs: []Spec{agent(t), spec}})
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

// TestStopTimeoutBeginsWhenSessionsHaveLeft: PM2's kill_timeout of 1.6 s is no time for a thousand
// sessions to move.
func TestStopTimeoutBeginsWhenSessionsHaveLeft(t *testing.T) {
	s := &Supervisor{cfg: Config{StopTimeout: 35 * time.Second}}
	for _, c := range []struct {
		agent *Agent
		stop  time.Duration
		want  time.Duration
	}{
		{nil, 0, 35 * time.Second},
		{nil, time.Second, time.Second},
		{&Agent{}, time.Second, time.Second},
		{&Agent{Drain: 50 * time.Second}, time.Second, 50 * time.Second},
		{&Agent{Drain: 50 * time.Second}, time.Minute, time.Minute},
	} {
		p := &process{sup: s, spec: &Spec{Agent: c.agent, Stop: StopRule{Timeout: c.stop}}}
		if got := p.leaveTimeout(); got != c.want {
			t.Errorf("%+v: %v, want %v", c, got, c.want)
		}
	}
}

func TestMessageInPlaceOfASignal(t *testing.T) {
	spec := bound(t, "w", channelHook{})
	spec.Stop = StopRule{Message: `"shutdown"`, Timeout: 20 * time.Second}
	h := run(t, Config{Lasting: true, Specs: []Spec{agent(t), spec}})
	h.wait("ready", allReady)
	if err := h.Stop("w"); err != nil {
		t.Fatal(err)
	}
	if e := h.exit(); e.Code != 9 { // with which it answers the message
		t.Errorf("%+v", e)
	}
}

func TestProcessMayAskToBeReplaced(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{agent(t), bound(t, "w", channelHook{})}})
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
