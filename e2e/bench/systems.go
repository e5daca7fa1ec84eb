//go:build linux

package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"
)

// The systems that are compared.
const (
	ours        = "A" // one of our workers, alone
	node        = "B" // one Node process
	floor       = "C" // the bare loop
	host        = "D" // a whole Sidereal host
	nodeHost    = "E" // nginx, two Node processes
	twoHosts    = "F" // two Sidereal hosts of one worker each; clients use both doors
	oursDeflate = "Az"
	nodeDeflate = "Bz"
)

var titles = map[string]string{
	ours:        "one Sidereal worker alone",
	node:        "npm socket.io 4.8.4 (ws), one process",
	bun:         "npm socket.io 4.8.4 on Bun with @socket.io/bun-engine, one process",
	limit:       "the limit: one thread of C over epoll that only matches bytes (e2e/bench/limit/limit.c)",
	floor:       "the floor: a goroutine per connection around gobwas/ws that only matches bytes",
	host:        "a Sidereal host: `sidereal up` with a router, 2 workers, and redis-server",
	nodeHost:    "nginx (by client address), 2 Node processes with @socket.io/redis-adapter, redis-server",
	twoHosts:    "two Sidereal hosts of one worker each on one redis-server; clients alternate",
	nginxTags:   "nginx that routes by the sid's tag, two Sidereal workers on TCP, and redis-server",
	haproxyTags: "the same with HAProxy",
	oursTwo:     "two Sidereal workers and redis-server",
	nodeTwo:     "two Node processes with @socket.io/redis-adapter and redis-server",
	bareTwo:     "two floors with a bare PUBLISH and SUBSCRIBE loop, and redis-server",
	crowdHost:   "as many workers as the limit of open files requires",
	relayPlain:  "a router, and a host of one worker, on one redis-server",
	nginxPlain:  "nginx before one Sidereal worker on TCP",
	relayFront:  "a host of one worker, with TLS",
	nginxFront:  "nginx with TLS before one Sidereal worker on TCP",
	relayInner:  "a router, and a host of one worker, with TLS from the client and between both",
	nginxInner:  "two nginx in a row before one Sidereal worker on TCP, with TLS before each",
	oursDeflate: "A with permessage-deflate",
	nodeDeflate: "B with permessage-deflate",
}

// system is one that runs.
type system struct {
	key     string
	entries []string // public addresses
	redis   string   // its address, of pairs
	parts   []*process
}

// pids are the system's processes and the parts they play.
func (s *system) pids() (map[int]string, error) {
	var roots []int
	for _, p := range s.parts {
		roots = append(roots, p.pid())
	}
	all, err := tree(roots)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.key, err)
	}
	for pid, line := range all {
		all[pid] = part(line)
	}
	return all, nil
}

// part names a process by its command line.
func part(line string) string {
	for _, p := range []struct{ text, name string }{
		{"redis", "redis"}, {"nginx", "nginx"}, {"haproxy", "haproxy"}, {"bench-server.mjs", "node"}, {"bench/bun", "bun"}, {"/limit ", "limit"}, {" router", "router"}, {" up ", "supervisor"},
		{" " + roleBare, "floor"}, {" " + roleApp, "worker"},
	} {
		if strings.Contains(line, p.text) {
			return p.name
		}
	}
	return "other"
}

// fleet starts systems as they are needed and ends them all.
type fleet struct {
	self, sidereal, root, dir string
	running                   map[string]*system
}

// newFleet builds sidereal, if the programs that the systems need are here. Profiles need the binary
// later, so it goes beside them.
func newFleet(ctx context.Context, profiles string, programs ...string) (*fleet, error) {
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	f := &fleet{root: filepath.Dir(strings.TrimSpace(string(module))), running: map[string]*system{}}
	if f.self, err = os.Executable(); err != nil {
		return nil, err
	}
	for _, need := range programs {
		if _, err := exec.LookPath(need); err != nil {
			return nil, fmt.Errorf("%w (`make deps` installs it)", err)
		}
	}
	if f.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return nil, err
	}
	if profiles, err = filepath.Abs(cmp.Or(profiles, f.dir)); err != nil {
		return nil, err
	}
	f.sidereal = filepath.Join(profiles, "sidereal")
	build := exec.CommandContext(ctx, "go", "build", "-o", f.sidereal, "./cmd/sidereal")
	build.Dir, build.Env = f.root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		os.RemoveAll(f.dir)
		return nil, fmt.Errorf("build of sidereal: %w\n%s", err, out)
	}
	return f, nil
}

// close ends every process.
func (f *fleet) close() {
	var stops sync.WaitGroup
	for _, s := range f.running {
		stops.Go(s.stop)
	}
	stops.Wait()
	os.RemoveAll(f.dir)
}

func (f *fleet) stop(key string) {
	if s := f.running[key]; s != nil {
		s.stop()
		delete(f.running, key)
	}
}

// get returns the system, started and ready.
func (f *fleet) get(ctx context.Context, key string) (*system, error) {
	if s := f.running[key]; s != nil {
		return s, nil
	}
	s := &system{key: key}
	f.running[key] = s // so that what was started ends, whatever comes
	if err := f.launch(s); err != nil {
		return nil, err
	}
	workers := map[string]int{host: 2, twoHosts: 2, nginxTags: 2, haproxyTags: 2}[key]
	for _, entry := range s.entries {
		if err := s.await(ctx, entry, workers); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (f *fleet) launch(s *system) error {
	switch s.key {
	case ours:
		return f.worker(s)
	case oursDeflate:
		return f.worker(s, deflateEnv+"=1")
	case node:
		return f.node(s)
	case nodeDeflate:
		return f.node(s, deflateEnv+"=1")
	case floor:
		addr := s.entry()
		return s.start("floor", []string{"BENCH_ADDR=" + addr}, f.self, roleBare)
	case bun:
		return f.bun(s)
	case limit:
		return f.limit(s)
	case host:
		return f.host(s, 1, 2)
	case twoHosts:
		return f.host(s, 2, 1)
	case nodeHost:
		return f.nodeHost(s)
	case nginxTags, haproxyTags:
		return f.routed(s)
	case oursTwo, nodeTwo, bareTwo:
		return f.pairOf(s)
	case relayPlain, relayFront, relayInner, nginxPlain, nginxFront, nginxInner:
		return f.relay(s)
	}
	return fmt.Errorf("no system %q", s.key)
}

func (f *fleet) worker(s *system, env ...string) error {
	env = append(env, "SIDEREAL_ADDR="+s.entry(), "SIDEREAL_REDIS_URL=", "REDIS_URL=", "SIDEREAL_LOG_LEVEL=warn")
	return s.start("worker", env, f.self, roleApp)
}

func (f *fleet) node(s *system, env ...string) error {
	return f.nodeAt(s, s.entry(), env...)
}

func (f *fleet) nodeAt(s *system, addr string, env ...string) error {
	_, port, _ := net.SplitHostPort(addr)
	env = append(env, "BENCH_PORT="+port, "NODE_ENV=production")
	return s.start("node", env, "node", filepath.Join(f.root, "e2e", "js", "bench-server.mjs"))
}

func (f *fleet) redis(s *system) (url string, err error) {
	addr := freeAddr()
	_, port, _ := net.SplitHostPort(addr)
	return "redis://" + addr, s.start("redis", nil, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
		"--appendonly", "no", "--dir", f.dir)
}

// host starts so many hosts on one Redis.
func (f *fleet) host(s *system, hosts, workers int) error {
	url, err := f.redis(s)
	if err != nil {
		return err
	}
	for i := range hosts {
		addr := s.entry()
		if err := f.up(s, addr, fmt.Sprintf("host-%d", i+1), url, workers); err != nil {
			return err
		}
	}
	return nil
}

// up starts one host; without a URL it embeds a Redis.
func (f *fleet) up(s *system, addr, name, url string, workers int, env ...string) error {
	env = append(append(env, hostEnv(addr, name, url)...), fmt.Sprintf("SIDEREAL_INSTANCES=%d", workers))
	return s.start(name, env, f.sidereal, "up", "--", f.self, roleApp)
}

func hostEnv(addr, name, url string) []string {
	return []string{
		"SIDEREAL_ADDR=" + addr, "SIDEREAL_ADVERTISE=" + addr, "SIDEREAL_ADMIN_ADDR=" + freeAddr(), "SIDEREAL_REDIS_URL=" + url, "REDIS_URL=",
		"SIDEREAL_HOST_NAME=" + name, "SIDEREAL_SHUTDOWN_TIMEOUT=2s", "SIDEREAL_LOG_LEVEL=warn", "SIDEREAL_LOG_FORMAT=json",
	}
}

//go:embed nginx.conf
var nginxConf string

func (f *fleet) nodeHost(s *system) error {
	url, err := f.redis(s)
	if err != nil {
		return err
	}
	conf := struct {
		Dir, Listen string
		Root        bool
		Upstreams   []string
	}{f.dir, s.entry(), os.Geteuid() == 0, []string{freeAddr(), freeAddr()}}
	for _, addr := range conf.Upstreams {
		if err := f.nodeAt(s, addr, "REDIS_URL="+url); err != nil {
			return err
		}
		if err := s.await(context.Background(), addr, 0); err != nil {
			return err
		}
	}
	var text strings.Builder
	if err := template.Must(template.New("nginx").Parse(nginxConf)).Execute(&text, conf); err != nil {
		return err
	}
	path := filepath.Join(f.dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return err
	}
	return s.start("nginx", nil, "nginx", "-e", "stderr", "-p", f.dir, "-c", path)
}

// entry is a new public address of the system.
func (s *system) entry() string {
	s.entries = append(s.entries, freeAddr())
	return s.entries[len(s.entries)-1]
}

// stop ends the last started first: hosts before their Redis.
func (s *system) stop() {
	for _, p := range slices.Backward(s.parts) {
		p.stop()
	}
}

func (s *system) start(name string, env []string, program string, args ...string) error {
	p, err := start(s.key+" "+name, env, program, args...)
	if err != nil {
		return err
	}
	s.parts = append(s.parts, p)
	return nil
}

// await returns once an echo came back through the address and, where the system has several workers, all of them answer.
func (s *system) await(ctx context.Context, addr string, workers int) error {
	for end := time.Now().Add(30 * time.Second); ; {
		err := firstEcho(ctx, addr, workers)
		if err == nil {
			return nil
		}
		for _, p := range s.parts {
			select {
			case <-p.done:
				return fmt.Errorf("%s ended:\n%s", p.name, p.output())
			default:
			}
		}
		if ctx.Err() != nil || time.Now().After(end) {
			last := s.parts[len(s.parts)-1]
			return errors.Join(fmt.Errorf("%s is not ready: %w\n%s", last.name, err, last.output()), ctx.Err())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// firstEcho sends one echo and, if several workers should answer, asks who is there.
func firstEcho(ctx context.Context, addr string, workers int) error {
	c, err := dial(ctx, addr, 0, false)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if err := c.ask(`["echo",1]`); err != nil {
		return err
	}
	if err := c.expect("430[1]"); err != nil || workers == 0 {
		return err
	}
	if err := c.ask(`["workers"]`); err != nil {
		return err
	}
	_, p, _, err := readFrame(c.r, nil)
	if n := strings.Count(string(p), `"pid"`); err == nil && n != workers {
		err = fmt.Errorf("%d workers of %d", n, workers)
	}
	return err
}

// freeAddr is a loopback address that nobody listened on a moment ago.
func freeAddr() string { return freeAddrAt("127.0.0.1") }

// freeAddrAt is freeAddr of one of the machine's loopback addresses.
func freeAddrAt(ip string) string {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		panic(err) // no loopback: nothing here works
	}
	defer l.Close()
	return l.Addr().String()
}
