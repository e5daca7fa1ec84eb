//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	heldItem = "held"
	// crowdHost is a Sidereal host with as many workers as the limit of open files makes necessary.
	crowdHost = "H"
	// roleCrowd is this program as a process that holds clients: one for each worker, for the same
	// limit.
	roleCrowd = "crowd"
	// spareFiles is what a process needs open beside its connections, and how uneven workers may
	// be.
	spareFiles = 1500
	// idleFor is one ping interval: each connection is pinged once in it.
	idleFor = 25 * time.Second
)

const held quantity = "connections"

// The figures of a sample of held, as its parts.
const (
	heldMemory  = "MiB of PSS"
	heldKernel  = "MiB of kernel memory, one end"
	heldRouter  = "bytes of PSS in the router for each"
	heldPace    = "connects a second"
	heldIdle    = "% of a core, idle"
	heldFanOut  = "CPU µs for each delivery to all"
	heldWorkers = "workers"
)

// runHeld holds more connections than one process may have, as a host with several workers can.
func runHeld(ctx context.Context, f *fleet, it *item, o options) ([]*result, error) {
	if o.held == 0 {
		return nil, nil
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	most := min(int(limit.Max), 40_000) - spareFiles
	workers := max((o.held+most-1)/most, 2)

	s := &system{key: crowdHost}
	defer s.stop()
	url, err := f.redis(s)
	if err != nil {
		return nil, err
	}
	addr := s.entry()
	if err := f.up(s, addr, "host-1", url, workers); err != nil {
		return nil, err
	}
	if err := s.await(ctx, addr, workers); err != nil {
		return nil, err
	}
	m, err := measureHeld(ctx, s, o.held, workers)
	if err != nil {
		return nil, err
	}
	r := newResult(it.name, it.title, it.unit, held)
	r.add(crowdHost, m)
	return []*result{r}, nil
}

func measureHeld(ctx context.Context, s *system, n, workers int) (sample, error) {
	m := sample{parts: map[string]float64{heldWorkers: float64(workers)}, units: n}
	before, err := look(s)
	if err != nil {
		return m, err
	}
	begin := time.Now()
	crowd, err := gather(ctx, s.entries[0], n, workers)
	defer crowd.leave()
	if err != nil {
		return m, err
	}
	m.took = time.Since(begin)
	m.parts[heldPace] = float64(n) / m.took.Seconds()
	after, err := look(s)
	if err != nil {
		return m, err
	}
	for part, size := range after.pss {
		m.value += float64(size)
		if part == "router" {
			m.parts[heldRouter] = float64(size-before.pss[part]) / float64(n)
		}
	}
	m.parts[heldMemory] = m.value / (1 << 20)
	m.parts[heldKernel] = float64(after.kernel-before.kernel) / 2 / (1 << 20) // both ends are here
	m.value /= float64(n)

	idle, err := spent(s, func() error { time.Sleep(idleFor); return nil })
	if err != nil {
		return m, err
	}
	m.parts[heldIdle] = 100 * idle.Seconds() / idleFor.Seconds()
	told, err := spent(s, func() (err error) { m.lost, err = crowd.tell(ctx, s.entries[0]); return err })
	m.parts[heldFanOut] = micros(told, n)
	return m, err
}

// weight is what a system weighs at a moment.
type weight struct {
	pss    map[string]int64
	kernel int64 // of the whole machine
}

// look weighs a system once its garbage is collected.
func look(s *system) (w weight, err error) {
	pids, err := s.pids()
	if err != nil {
		return w, err
	}
	collect(pids)
	time.Sleep(1500 * time.Millisecond)
	if w.pss, err = pss(pids); err != nil {
		return w, err
	}
	w.kernel, err = kernelMemory()
	return w, err
}

// kernelMemory is what the kernel has for its objects, sockets among them, and in the buffers of
// TCP.
func kernelMemory() (bytes int64, err error) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	stat, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, err
	}
	_, slab, _ := strings.Cut(string(info), "\nSlab:")
	kb, err := strconv.ParseInt(strings.Fields(slab)[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("no Slab in /proc/meminfo: %w", err)
	}
	_, tcp, _ := strings.Cut(string(stat), "\nTCP:")
	_, pages, _ := strings.Cut(tcp, " mem ")
	held, err := strconv.ParseInt(strings.Fields(pages)[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("no memory of TCP in /proc/net/sockstat: %w", err)
	}
	return kb<<10 + held*int64(os.Getpagesize()), nil
}

// spent is the CPU time that a system takes while f runs.
func spent(s *system, f func() error) (time.Duration, error) {
	pids, err := s.pids()
	if err != nil {
		return 0, err
	}
	before, err := cpu(pids)
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	time.Sleep(settle)
	after, err := cpu(pids)
	return after.since(before).sum(), err
}

// crowd is processes with clients.
type crowd []*holder

// holder is one of them, as it is seen from outside: it answers each line with a line.
type holder struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// gather opens n connections from so many processes.
func gather(ctx context.Context, addr string, n, processes int) (c crowd, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for i := range processes {
		share := (n + i) / processes
		h := &holder{cmd: exec.Command(self, roleCrowd, addr, strconv.Itoa(share))}
		h.cmd.Stderr, h.cmd.SysProcAttr = os.Stderr, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if h.in, err = h.cmd.StdinPipe(); err != nil {
			return c, err
		}
		out, err := h.cmd.StdoutPipe()
		if err != nil {
			return c, err
		}
		h.out = bufio.NewReader(out)
		if err := h.cmd.Start(); err != nil {
			return c, err
		}
		c = append(c, h)
	}
	_, err = c.hear(ctx)
	return c, err
}

// hear waits for a number from each process, and adds them up.
func (c crowd) hear(ctx context.Context) (sum int, err error) {
	defer context.AfterFunc(ctx, c.kill)()
	said := make([]int, len(c))
	var g errgroup.Group
	for i, h := range c {
		g.Go(func() error {
			line, err := h.out.ReadString('\n')
			if err != nil {
				return fmt.Errorf("a process that holds connections ended: %w", err)
			}
			said[i], err = strconv.Atoi(strings.TrimSpace(line))
			return err
		})
	}
	err = g.Wait()
	for _, n := range said {
		sum += n
	}
	return sum, err
}

// tell has a client of its own say something to everybody, and returns how many did not hear it.
func (c crowd) tell(ctx context.Context, addr string) (lost int, err error) {
	for _, h := range c {
		if _, err := io.WriteString(h.in, "listen\n"); err != nil {
			return 0, err
		}
	}
	if _, err := c.hear(ctx); err != nil { // all of them listen
		return 0, err
	}
	one, err := dial(ctx, addr, 0, false)
	if err != nil {
		return 0, err
	}
	defer one.close()
	if err := one.ask(say(128, "")); err != nil {
		return 0, err
	}
	return c.hear(ctx)
}

func (c crowd) kill() {
	for _, h := range c {
		_ = h.cmd.Process.Kill()
	}
}

// leave closes all connections and ends the processes.
func (c crowd) leave() {
	for _, h := range c {
		h.in.Close()
	}
	for _, h := range c {
		_ = h.cmd.Wait()
	}
}

// runCrowd is a process of a crowd: it opens connections and says 0. For each line that it reads it
// says 0 again, and then how many of its clients did not hear the next event. It leaves when nobody
// speaks to it any more.
func runCrowd(addr string, share string) error {
	n, err := strconv.Atoi(share)
	if err != nil {
		return err
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	s, err := open(context.Background(), []string{addr}, n, false, nil)
	if err != nil {
		return err
	}
	fmt.Println(0)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		s.tally.expect(n)
		fmt.Println(0)
		fmt.Println(s.tally.wait(context.Background()))
	}
	for _, c := range s.clients {
		c.abort()
	}
	return nil
}
