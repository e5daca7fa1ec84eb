package node

import (
	"context"
	"net"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/sessioncount"
)

const (
	firstTry  = 20 * time.Millisecond
	lastTry   = 500 * time.Millisecond
	dialLimit = 2 * time.Second
)

// program is a process that serves HTTP at an address of its own.
type program struct {
	h        *Host
	told     lifeline.PortTold
	stop     context.CancelFunc
	endpoint *endpoint // set once, before others see the program
	sessions sessioncount.Counter
}

// addProgram opens an endpoint for a program once the program answers.
func (h *Host) addProgram(ctx context.Context, told lifeline.PortTold) {
	ctx, stop := context.WithCancel(ctx)
	p := &program{h: h, told: told, stop: stop}
	p.endpoint = &endpoint{
		app:    h.cfg.App,
		record: directory.Worker{Slot: told.Slot, PID: told.PID},
		load:   p.sessions.Count,
		give:   func(c *handoff.Conn) error { return p.connect(ctx, c) },
		read:   true,
		before: p.answers,
		opened: func(worker string) {
			h.report(lifeline.ChildReport{ID: told.ID, State: lifeline.ChildReady, By: byPort, Worker: worker})
		},
	}
	h.mu.Lock()
	known := h.programs[told.ID] != nil || h.stopped || h.cfg.Conn == nil
	if !known {
		h.programs[told.ID] = p
	}
	h.mu.Unlock()
	if known {
		stop()
		return
	}
	h.open(ctx, p.endpoint)
}

// answers returns when the program accepts connections.
func (p *program) answers(ctx context.Context) error {
	for wait := firstTry; ; wait = min(2*wait, lastTry) {
		c, err := p.dial(ctx)
		if err == nil {
			return c.Close()
		}
		netio.Pause(ctx, wait)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (p *program) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: dialLimit}
	return d.DialContext(ctx, "tcp", p.told.Addr)
}

// connect copies a router's connection to the program, and counts the sessions in it.
func (p *program) connect(ctx context.Context, conn *handoff.Conn) error {
	c, err := p.dial(ctx)
	if err != nil {
		return err
	}
	p.h.metrics.connections.WithLabelValues("copied").Inc()
	if conn.Kind() == handoff.Client {
		p.h.guard(ctx, conn, c.(*net.TCPConn), &p.sessions)
	} else {
		p.h.talk(ctx, conn, c.(*net.TCPConn), &p.sessions)
	}
	return nil
}

// drain keeps new sessions away. Present ones end with the program, which alone could close them.
func (p *program) drain(ctx context.Context) {
	p.endpoint.tell(draining)
	netio.Pause(ctx, notice)
	p.h.report(lifeline.ChildReport{ID: p.told.ID, State: lifeline.ChildDrained})
}

// programSessions returns the number of sessions of all programs.
func (h *Host) programSessions() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.programs {
		n += p.sessions.Count()
	}
	return n
}
