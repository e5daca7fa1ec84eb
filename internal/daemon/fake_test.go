package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/redisserver"
	"github.com/sidereal-io/sidereal/internal/supervisor"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// stay keeps a process alive. An empty select would end it as a deadlock, where nothing else runs
// in it and it has no C.
func stay() {
	for {
		time.Sleep(time.Hour)
	}
}

// The test binary is also the services, by their subcommands, and the apps, by FAKE_ROLE in their
// environment.
func TestMain(m *testing.M) {
	role := os.Getenv("FAKE_ROLE")
	if role == "" && os.Getenv("FAKE_SERVICES") != "" && len(os.Args) > 1 {
		role = os.Args[1]
	}
	if f := roles[role]; f != nil {
		f()
		return
	}
	testkit.Main(m)
}

var roles = map[string]func(){
	// redis: ends where the file FAKE_REDIS_FAIL is, with the code that this holds.
	"redis": func() {
		line, _ := begin(nil)
		if raw, err := os.ReadFile(os.Getenv("FAKE_REDIS_FAIL")); err == nil {
			code, err := strconv.Atoi(string(raw))
			check(err)
			os.Exit(code)
		}
		e, err := redisserver.ServeOn(context.Background(), inheritedListener(), os.Getenv("SIDEREAL_REDIS_PASSWORD"))
		check(err)
		line.Report(lifeline.Ready, "1")
		ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		<-ctx.Done()
		_ = e
	},
	// router: answers each connection with the name of its app.
	"router": func() {
		serve := func(l net.Listener) {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprintln(c, os.Getenv("SIDEREAL_APP"))
				c.Close()
			}
		}
		line, term := begin(func(t lifeline.Told) {
			if t.Key == lifeline.Listener {
				l, err := net.FileListener(t.File)
				check(err)
				go serve(l)
			}
		})
		go serve(inheritedListener())
		line.Report(lifeline.Ready, "1")
		<-term
	},
	"nodehost": func() {
		h := &nodehost{channels: map[string]*os.File{}}
		line, term := begin(func(t lifeline.Told) {
			<-h.begun()
			h.told(t)
		})
		h.line = line
		close(h.begun())
		line.Report(lifeline.Ready, "1")
		<-term
	},
	// daemon: as `sidereal daemon`.
	"daemon": func() {
		home, err := OpenHome(os.Getenv("SIDEREAL_HOME"))
		check(err)
		ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		cfg := testConfig(home)
		cfg.OwnLog = home.OpenLog(logfile.Rotation{})
		cfg.Log = slog.New(loghandler.New(cfg.OwnLog, slog.LevelDebug))
		if err := Run(ctx, cfg); err != nil && !errors.Is(err, ErrRunning) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	},
	// worker: a Go worker. It fails where the file FAKE_FAIL is, and holds a connection to
	// FAKE_HOLD, if that is set.
	"worker": func() {
		line, term := begin(nil)
		failWhereTold()
		holdOn()
		fmt.Printf("env NODE_APP_INSTANCE=%s pm_id=%s name=%s\n", os.Getenv("NODE_APP_INSTANCE"), os.Getenv("pm_id"), os.Getenv("name"))
		fmt.Fprintln(os.Stderr, "an error of "+os.Getenv("pm_id"))
		line.Report(lifeline.Worker, "W"+os.Getenv("pm_id"))
		line.Report(lifeline.Ready, "1")
		<-term
	},
	// mute: a Go worker that never gets ready.
	"mute": func() {
		_, term := begin(nil)
		<-term
	},
	// node: a Node process. It says over its channel what it is to be reported as, and prints what
	// it is sent.
	"node": func() {
		failWhereTold()
		fd, err := strconv.Atoi(os.Getenv("NODE_CHANNEL_FD"))
		check(err)
		channel := os.NewFile(uintptr(fd), "channel")
		fmt.Fprintln(channel, os.Getenv("FAKE_LISTEN"))
		fmt.Println("command " + strings.Join(os.Args[1:], " "))
		for lines := bufio.NewScanner(channel); lines.Scan(); {
			fmt.Println("message " + lines.Text())
		}
	},
	// reader: prints the lines of its input, until one says to close it.
	"reader": func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan() && lines.Text() != "close"; {
			fmt.Println("read " + lines.Text())
		}
		os.Stdin.Close()
		fmt.Println("closed")
		stay()
	},
	// program: anything that serves its PORT.
	"program": func() {
		l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
		check(err)
		for {
			c, err := l.Accept()
			check(err)
			c.Close()
		}
	},
	// flood: writes a line, and then bytes of all kinds without end and without a line break.
	"flood": func() {
		fmt.Println("before")
		b := make([]byte, 64<<10)
		for i := range b {
			if b[i] = byte(i); b[i] == '\n' {
				b[i] = 0
			}
		}
		for {
			os.Stdout.Write(b)
		}
	},
	// chatter: writes lines without end, as fast as they are taken.
	"chatter": func() {
		b := bytes.Repeat([]byte("all is well\n"), 5000)
		for {
			os.Stdout.Write(b)
		}
	},
	// job: does its work, and ends.
	"job":   func() { fmt.Println("done") },
	"crash": func() { os.Exit(3) },
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func begin(told func(lifeline.Told)) (*lifeline.Line, chan os.Signal) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, os.Interrupt)
	fd, err := strconv.Atoi(os.Getenv(supervisor.LineEnv))
	check(err)
	line, err := lifeline.Open(fd)
	check(err)
	if told == nil {
		told = func(lifeline.Told) {}
	}
	go func() {
		line.Follow(context.Background(), told)
		os.Exit(1)
	}()
	return line, term
}

func inheritedListener() net.Listener {
	fd, err := strconv.Atoi(os.Getenv(supervisor.ListenEnv))
	check(err)
	ls, err := supervisor.Inherited([]int{fd})
	check(err)
	return ls[0]
}

func failWhereTold() {
	if file := os.Getenv("FAKE_FAIL"); file != "" {
		if _, err := os.Stat(file); err == nil {
			os.Exit(1)
		}
	}
}

func holdOn() {
	if addr := os.Getenv("FAKE_HOLD"); addr != "" {
		_, err := net.Dial("unix", addr)
		check(err)
	}
}

// nodehost does what the real one does, as far as a daemon can see.
type nodehost struct {
	line     *lifeline.Line
	once     sync.Once
	ready    chan struct{}
	channels map[string]*os.File
	answered sync.Map // address -> chan struct{}: the daemon has answered a process that listens there
}

// answers returns where the daemon's answers about an address are noted.
func (h *nodehost) answers(addr string) chan struct{} {
	c, _ := h.answered.LoadOrStore(addr, make(chan struct{}, 64))
	return c.(chan struct{})
}

func (h *nodehost) begun() chan struct{} {
	h.once.Do(func() { h.ready = make(chan struct{}) })
	return h.ready
}

func (h *nodehost) told(t lifeline.Told) {
	switch t.Key {
	case lifeline.Channel:
		var c lifeline.ChannelTold
		check(t.Decode(&c))
		h.channels[c.ID] = t.File
		go h.hear(c.ID, t.File)
	case lifeline.Port:
		var p lifeline.PortTold
		check(t.Decode(&p))
		go h.probe(p)
	case lifeline.Listened:
		var l lifeline.ListenedTold
		check(t.Decode(&l))
		h.answers(l.Addr) <- struct{}{}
	case lifeline.Drain:
		h.line.ReportJSON(lifeline.Child, lifeline.ChildReport{ID: t.Value, State: lifeline.ChildDrained})
	case lifeline.Send:
		var s lifeline.SendTold
		check(t.Decode(&s))
		fmt.Fprintf(h.channels[s.ID], "%s\n", s.Message)
	}
}

// hear takes the addresses that a process wants to listen on from its first line: none is a worker
// of sticky.
func (h *nodehost) hear(id string, channel *os.File) {
	for lines := bufio.NewScanner(channel); lines.Scan(); {
		by := "sticky"
		for _, addr := range strings.Fields(lines.Text()) {
			by = "listening"
			h.line.ReportJSON(lifeline.Listen, lifeline.ListenReport{ID: id, Addr: addr})
			<-h.answers(addr) // Node's listen returns then
		}
		h.line.ReportJSON(lifeline.Child, lifeline.ChildReport{ID: id, State: lifeline.ChildReady, Worker: "N" + id, By: by})
	}
}

func (h *nodehost) probe(p lifeline.PortTold) {
	for {
		if c, err := net.Dial("tcp", p.Addr); err == nil {
			c.Close()
			h.line.ReportJSON(lifeline.Child, lifeline.ChildReport{ID: p.ID, State: lifeline.ChildReady, Worker: "P" + p.ID, By: "port"})
			return
		}
		time.Sleep(time.Millisecond) // between two processes: nothing tells
	}
}

// testConfig is a daemon of fakes.
func testConfig(home Home) Config {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	set := config.Daemon{}
	set.AdminAddr = "off"
	return Config{
		Home: home, Version: "test", Program: []string{self}, Environ: append(os.Environ(), "FAKE_SERVICES=1", "FAKE_ROLE=", "GORACE=atexit_sleep_ms=0"),
		Settings: set, Shown: map[string]string{"SIDEREAL_LOG_LEVEL": "info"}, Log: slog.New(loghandler.New(os.Stderr, slog.LevelDebug)),
	}
}
