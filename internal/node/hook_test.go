package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// listenerEnv makes the test binary the agent of TestHooksBindProcesses.
const listenerEnv = "NODE_HOOK_TEST_AGENT"

// listen prints what the supervisor tells a node host, and greets each channel.
func listen() {
	fd, err := strconv.Atoi(os.Getenv(supervisor.LineEnv))
	if err != nil {
		panic(err)
	}
	line, err := lifeline.Open(fd)
	if err != nil {
		panic(err)
	}
	line.Report(lifeline.Ready, "1")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	line.Follow(ctx, func(t lifeline.Told) {
		fmt.Println(t.Key, t.Value)
		if t.File != nil {
			fmt.Fprintln(t.File, "greeting")
			t.File.Close()
		}
	})
}

func TestHooksBindProcesses(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const show = `echo "fd=$NODE_CHANNEL_FD mode=$NODE_CHANNEL_SERIALIZATION_MODE id=$NODE_UNIQUE_ID port=$PORT"; ` +
		`if [ -n "$NODE_CHANNEL_FD" ]; then eval "read line <&$NODE_CHANNEL_FD"; echo "$line"; fi; exec sleep 1000`
	var heard, cluster, forked, program testkit.Output
	child := func(name string, out *testkit.Output, h supervisor.Hook) supervisor.Spec {
		return supervisor.Spec{
			Name: name, Command: []string{"sh", "-c", show}, Unlined: true, Readiness: supervisor.Readiness{AtStart: true},
			Agent: &supervisor.Agent{Place: "agent", Hook: h}, Stdout: out,
		}
	}
	s, err := supervisor.New(supervisor.Config{FirstID: 7, Env: append(os.Environ(), listenerEnv+"=1"), Specs: []supervisor.Spec{
		{Name: "agent", Command: []string{self}, Stdout: &heard},
		child("cluster", &cluster, ChannelHook{Mode: "advanced", Slot: 1, Cluster: true, WaitReady: true}),
		child("forked", &forked, ChannelHook{Mode: "json", Slot: 2}),
		child("program", &program, PortHook{Slot: 3}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { result <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
	}()
	status := map[string]supervisor.Status{}
	if err := s.Wait(ctx, func(all []supervisor.Status) bool {
		for _, st := range all {
			status[st.Name] = st
		}
		return len(status) == 4 && status["cluster"].PID > 0 && status["forked"].PID > 0 && status["program"].PID > 0
	}); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{status["cluster"].ID: true, status["forked"].ID: true, status["program"].ID: true}
	if !ids["7"] || !ids["8"] || !ids["9"] {
		t.Errorf("ids: %v", ids)
	}
	port := strconv.Itoa(status["program"].Port)
	for _, c := range []struct {
		out  *testkit.Output
		want string
	}{
		{&cluster, "^fd=[0-9]+ mode=advanced id=" + status["cluster"].ID + " port=\ngreeting\n"},
		{&forked, "^fd=[0-9]+ mode=json id= port=\ngreeting\n"}, // NODE_UNIQUE_ID would make it a cluster worker
		{&program, "^fd= mode= id= port=" + port + "\n"},
	} {
		want := regexp.MustCompile(c.want)
		testkit.Until(t, c.want, func() bool { return want.MatchString(c.out.String()) })
	}

	if err := s.Send("forked", json.RawMessage(`{"a":1}`)); err != nil {
		t.Error(err)
	}
	if err := s.Send("program", json.RawMessage(`1`)); !errors.Is(err, supervisor.ErrNoChannel) {
		t.Errorf("a program without a channel: %v", err)
	}
	for _, want := range []string{
		fmt.Sprintf(`channel {"id":"%s","name":"cluster","slot":1,"pid":%d,"mode":"advanced","cluster":true,"waitReady":true}`, status["cluster"].ID, status["cluster"].PID),
		fmt.Sprintf(`channel {"id":"%s","name":"forked","slot":2,"pid":%d,"mode":"json","cluster":false}`, status["forked"].ID, status["forked"].PID),
		fmt.Sprintf(`port {"id":"%s","name":"program","slot":3,"pid":%d,"addr":"127.0.0.1:%s"}`, status["program"].ID, status["program"].PID, port),
		fmt.Sprintf(`send {"id":"%s","message":{"a":1}}`, status["forked"].ID),
	} {
		testkit.Until(t, want, func() bool { return strings.Contains(heard.String(), want+"\n") })
	}
}

// A process that fails to start leaves no descriptor open.
func TestUnannouncedChannelIsClosed(t *testing.T) {
	ours, theirs, err := lifeline.SocketPair("channel")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	bond := &channelBond{file: theirs}
	for range 2 {
		if err := bond.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ours.Read(make([]byte, 1)); err == nil {
		t.Error("the other end is open")
	}
}

func TestRecluster(t *testing.T) {
	for message, want := range map[string]bool{
		`{"cmd":"disconnect"}`: true, `{"cmd":"ready"}`: false, `"disconnect"`: false, `{"cmd":1}`: false, `[`: false, ``: false,
	} {
		if got := new(channelBond).AsksToLeave(json.RawMessage(message)); got != want {
			t.Errorf("%s: %v", message, got)
		}
	}
}
