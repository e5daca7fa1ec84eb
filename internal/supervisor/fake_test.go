package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// stay keeps a process alive. An empty select would end it as a deadlock, where nothing else runs
// in it and it has no C.
func stay() {
	for {
		time.Sleep(time.Hour)
	}
}

// The test binary is also the child programs: its first argument names one.
func TestMain(m *testing.M) {
	if os.Getenv("FAKE_CHILD") != "" && len(os.Args) > 1 {
		if f, ok := fakes[os.Args[1]]; ok {
			f(os.Args[2:])
			return
		}
	}
	testkit.Main(m)
}

// fake is the command of a child program.
func fake(t *testing.T, args ...string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{self}, args...)
}

var fakes = map[string]func(args []string){
	// serve <attr>: gets ready, ends when told.
	"serve": func(args []string) {
		line, term := begin()
		line.Report("tag", args[0])
		line.Report(lifeline.Ready, "1")
		<-term
		fmt.Println("stopped " + args[0])
	},
	// drain <attr>: gets ready, when told drains and stays.
	"drain": func(args []string) {
		line, term := begin()
		line.Report(lifeline.Ready, "1")
		<-term
		fmt.Println("draining " + args[0])
		line.Report(lifeline.Draining, "1")
		stay()
	},
	// stubborn: gets ready, never ends.
	"stubborn": func([]string) {
		line, _ := begin()
		line.Report(lifeline.Ready, "1")
		stay()
	},
	// mute: never gets ready.
	"mute": func([]string) {
		_, term := begin()
		<-term
	},
	// unready-if <file>: gets ready unless the file exists.
	"unready-if": func(args []string) {
		line, term := begin()
		if _, err := os.Stat(args[0]); err != nil {
			line.Report(lifeline.Ready, "1")
		}
		<-term
	},
	// exit <code>: ends at once.
	"exit": func(args []string) {
		code, _ := strconv.Atoi(args[0])
		os.Exit(code)
	},
	// print <text>: writes it and gets ready.
	"print": func(args []string) {
		line, term := begin()
		fmt.Println(args[0])
		line.Report(lifeline.Ready, "1")
		<-term
	},
	// read: reports the last line that it has read, and ends with its input.
	"read": func([]string) {
		line, term := begin()
		line.Report(lifeline.Ready, "1")
		go func() {
			<-term
			os.Exit(0)
		}()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			line.Report("read", lines.Text())
		}
	},
	// env <name>: reports the variable.
	"env": func(args []string) {
		line, term := begin()
		line.Report("value", os.Getenv(args[0]))
		line.Report(lifeline.Ready, "1")
		<-term
	},
	// accept: answers each connection on the inherited socket with its pid.
	"accept": func([]string) {
		line, term := begin()
		fd, _ := strconv.Atoi(os.Getenv(ListenEnv))
		ls, err := Inherited([]int{fd})
		if err != nil {
			panic(err)
		}
		go func() {
			for {
				c, err := ls[0].Accept()
				if err != nil {
					return
				}
				fmt.Fprint(c, os.Getpid())
				c.Close()
			}
		}()
		line.Report(lifeline.Ready, "1")
		<-term
	},
	// grandchild <unix address>: starts a process of its own that connects to the address, and
	// stays.
	"grandchild": func(args []string) {
		line, _ := begin()
		self, _ := os.Executable()
		cmd := exec.Command(self, "hold", args[0])
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		line.Report(lifeline.Ready, "1")
		stay()
	},
	// hold <unix address>: connects and stays, deaf to its line.
	"hold": func(args []string) {
		if _, err := net.Dial("unix", args[0]); err != nil {
			panic(err)
		}
		stay()
	},
	// grandchild-linger <unix address>: starts a process that ends with its connection, and stays.
	"grandchild-linger": func(args []string) {
		line, _ := begin()
		self, _ := os.Executable()
		if err := exec.Command(self, "linger", args[0]).Start(); err != nil {
			panic(err)
		}
		line.Report(lifeline.Ready, "1")
		stay()
	},
	// alone <file>: gets ready if nobody has the file, which it has until it ends.
	"alone": func(args []string) {
		f, err := os.OpenFile(args[0], os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			os.Exit(1)
		}
		f.Close()
		line, term := begin()
		line.Report(lifeline.Ready, "1")
		<-term
		os.Remove(args[0])
	},
	// sleep: stays, without a line.
	"sleep": func([]string) { stay() },
	// bound: says over its channel, if it has one, what it is, and does what it is told there.
	"bound": func([]string) {
		fd, err := strconv.Atoi(os.Getenv("FAKE_CHANNEL"))
		if err != nil {
			stay() // a program with a port, to be reported by its agent
		}
		channel := os.NewFile(uintptr(fd), "channel")
		fmt.Fprintf(channel, "bound %s\n", os.Getenv("FAKE_ID"))
		for lines := bufio.NewScanner(channel); lines.Scan(); {
			switch text := lines.Text(); text {
			case `"shutdown"`:
				os.Exit(9)
			case `"leave"`:
				fmt.Fprintln(channel, `"replace me"`)
			default:
				fmt.Fprintln(channel, "got "+text)
			}
		}
	},
	// loads: reports at each message that it has loaded its code.
	"loads": func([]string) {
		fd, _ := strconv.Atoi(os.Getenv("FAKE_CHANNEL"))
		channel := os.NewFile(uintptr(fd), "channel")
		for lines := bufio.NewScanner(channel); lines.Scan(); {
			fmt.Fprintln(channel, "loaded")
		}
	},
	// agent: looks after bound processes.
	"agent": func([]string) { new(fakeAgent).run() },
	// supervise <unix address>: a supervisor of two children that hold connections, one by its
	// line, one without.
	"supervise": func(args []string) {
		self, _ := os.Executable()
		s, err := New(Config{Specs: []Spec{
			{Name: "lined", Command: []string{self, "hold-lined", args[0]}},
			{Name: "deaf", Command: []string{self, "hold", args[0]}},
		}})
		if err != nil {
			panic(err)
		}
		ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		s.Run(ctx)
	},
	// abandon <unix address> <file>: the first one leaves a process behind, outside of its group,
	// and ends.
	"abandon": func(args []string) {
		line, term := begin()
		if f, err := os.OpenFile(args[1], os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			f.Close()
			self, _ := os.Executable()
			cmd := exec.Command(self, "linger", args[0])
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := cmd.Start(); err != nil {
				panic(err)
			}
			return
		}
		line.Report(lifeline.Ready, "1")
		<-term
	},
	// linger <unix address>: connects, says its pid, and ends with the connection.
	"linger": func(args []string) {
		c, err := net.Dial("unix", args[0])
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(c, os.Getpid())
		io.Copy(io.Discard, c)
	},
	// hold-lined <unix address>: connects and stays until the supervisor is gone.
	"hold-lined": func(args []string) {
		fd, _ := strconv.Atoi(os.Getenv(LineEnv))
		line, err := lifeline.Open(fd)
		if err != nil {
			panic(err)
		}
		if _, err := net.Dial("unix", args[0]); err != nil {
			panic(err)
		}
		line.Run(context.Background())
	},
}

// begin opens the line and catches SIGTERM, which is not noticed until term is read.
func begin() (line *lifeline.Line, term chan os.Signal) {
	term = make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	fd, err := strconv.Atoi(os.Getenv(LineEnv))
	if err != nil {
		panic(err)
	}
	if line, err = lifeline.Open(fd); err != nil {
		panic(err)
	}
	go func() {
		if line.Run(context.Background()) != nil {
			os.Exit(1)
		}
	}()
	return line, term
}

// fakeAgent does what an agent does, as far as a supervisor can see.
type fakeAgent struct {
	line     *lifeline.Line
	channels map[string]*os.File
}

func (h *fakeAgent) run() {
	fd, _ := strconv.Atoi(os.Getenv(LineEnv))
	line, err := lifeline.Open(fd)
	if err != nil {
		panic(err)
	}
	h.line, h.channels = line, map[string]*os.File{}
	line.Report(lifeline.Ready, "1")
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	line.Follow(ctx, h.told)
}

func (h *fakeAgent) told(t lifeline.Told) {
	switch t.Key {
	case lifeline.Channel:
		h.channels[t.Value] = t.File
		go h.hear(t.Value, t.File)
	case lifeline.Port:
		id, port, _ := strings.Cut(t.Value, " ")
		h.line.ReportJSON(lifeline.Child, lifeline.ChildReport{ID: id, State: lifeline.ChildReady, Worker: "port " + port, By: "port"})
	case lifeline.Drain:
		fmt.Println("drained " + t.Value)
		h.line.ReportJSON(lifeline.Child, lifeline.ChildReport{ID: t.Value, State: lifeline.ChildDrained})
	case lifeline.Send:
		var s lifeline.SendTold
		if err := t.Decode(&s); err != nil {
			panic(err)
		}
		fmt.Fprintf(h.channels[s.ID], "%s\n", s.Message)
	}
}

// hear reports the first line of a child as its worker id, and later ones as reasons or messages.
func (h *fakeAgent) hear(id string, channel *os.File) {
	first := true
	for lines := bufio.NewScanner(channel); lines.Scan(); first = false {
		text := lines.Text()
		r := lifeline.ChildReport{ID: id, State: lifeline.ChildReady, Worker: text, By: "listening"}
		switch {
		case text == "loaded":
			r = lifeline.ChildReport{ID: id, State: lifeline.ChildLoaded}
		case first:
			h.line.ReportJSON(lifeline.Listen, lifeline.ListenReport{ID: id, Addr: ":3000"})
		case !first && json.Valid([]byte(text)):
			r = lifeline.ChildReport{ID: id, State: lifeline.ChildMessage, Message: json.RawMessage(text)}
		case !first:
			r.Worker, r.By = "", text
		}
		h.line.ReportJSON(lifeline.Child, r)
	}
}

// channelHook gives a process a channel whose other end goes to its agent, as package node does.
type channelHook struct{}

func (channelHook) Bind(b *Birth) (Bond, error) {
	theirs, ours, err := lifeline.SocketPair("channel")
	if err != nil {
		return nil, err
	}
	b.Setenv("FAKE_CHANNEL", strconv.Itoa(b.Inherit(theirs)))
	b.Setenv("FAKE_ID", strconv.Itoa(b.ID))
	return &channelBond{strconv.Itoa(b.ID), ours}, nil
}

type channelBond struct {
	id   string
	file *os.File
}

func (c *channelBond) Announce(agent *lifeline.End, _ int) error {
	file := c.file
	c.file = nil
	return agent.Tell(lifeline.Channel, c.id, file)
}

func (c *channelBond) Send(agent *lifeline.End, m json.RawMessage) error {
	return agent.TellJSON(lifeline.Send, lifeline.SendTold{ID: c.id, Message: m}, nil)
}

func (c *channelBond) AsksToLeave(m json.RawMessage) bool { return string(m) == `"replace me"` }

func (c *channelBond) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// portHook gives a process a port, as package node does, and no channel.
type portHook struct{}

func (portHook) Bind(b *Birth) (Bond, error) {
	b.Port = 40_000 + b.ID
	return portBond(fmt.Sprintf("%d %d", b.ID, b.Port)), nil
}

type portBond string

func (p portBond) Announce(agent *lifeline.End, _ int) error {
	return agent.Tell(lifeline.Port, string(p), nil)
}
func (portBond) Send(*lifeline.End, json.RawMessage) error { return ErrNoChannel }
func (portBond) AsksToLeave(json.RawMessage) bool          { return false }
func (portBond) Close() error                              { return nil }
