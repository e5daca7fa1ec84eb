//go:build soak && linux

package soak

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

const (
	// patience is longer than what may rightly outlive a crowd: a ping timeout, the owners of sids
	// (75 s), the runtime's collection of garbage (every 2 minutes at least).
	patience = 4 * time.Minute
	look     = time.Second
	idleTime = 10 * time.Second // over which the CPU time of an idle process is taken
)

// footprint is what one process holds.
type footprint struct {
	pid        int
	files      int           // descriptors
	goroutines int           // 0: not told
	heap       int64         // bytes that are reachable or not yet collected; 0: not told
	resident   int64         // bytes
	idle       time.Duration // CPU time in idleTime
}

// within reports what of f is more than noise above before.
func (f footprint) within(before footprint) (grown []string) {
	more := func(what string, now, then, allowance int64) {
		if now > then+allowance {
			grown = append(grown, fmt.Sprintf("%s: %d, before %d", what, now, then))
		}
	}
	more("descriptors", int64(f.files), int64(before.files), 4)
	more("goroutines", int64(f.goroutines), int64(before.goroutines), 8)
	more("heap", f.heap, before.heap, before.heap/4+4<<20)
	more("resident memory", f.resident, before.resident, before.resident/4+8<<20)
	return grown
}

// footprints are those of a host's processes, by name.
type footprints map[string]footprint

func (fs footprints) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fs)) {
		f := fs[name]
		fmt.Fprintf(&b, "%-10s  %3d descriptors  %3d goroutines  heap %3d MB  resident %3d MB  idle %v of %v\n",
			name, f.files, f.goroutines, f.heap>>20, f.resident>>20, f.idle.Round(time.Millisecond), idleTime)
	}
	return b.String()
}

// glance takes the footprints but for the idle time.
func glance(t *testing.T, host *harness.Host) footprints {
	t.Helper()
	pids := map[string]int{"supervisor": host.PID()}
	for _, c := range host.Children(t) {
		pids[c.Name] = c.PID
	}
	metrics := host.Metrics()
	all := footprints{}
	for name, pid := range pids {
		label := fmt.Sprintf("{process=%q}", name)
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = footprint{
			pid: pid, files: len(files), resident: resident(t, pid),
			goroutines: int(metrics["go_goroutines"+label]), heap: int64(metrics["go_memstats_heap_alloc_bytes"+label]),
		}
	}
	return all
}

// measure takes the footprints of an idle host.
func measure(t *testing.T, host *harness.Host) footprints {
	t.Helper()
	all := glance(t, host)
	begin := map[string]time.Duration{}
	for name, f := range all {
		begin[name] = used(t, f.pid)
	}
	wait(t.Context(), idleTime)
	for name, f := range all {
		f.idle = used(t, f.pid) - begin[name]
		all[name] = f
	}
	return all
}

// settle waits until the host has forgotten the crowd, and returns its footprints then: no session
// and no socket is left, each process is as idle as a fresh one, which holds that no timers are
// left, and as large as before, unless that is nil.
func settle(t *testing.T, host *harness.Host, fresh, before footprints) (now footprints) {
	t.Helper()
	var left []string
	for end := time.Now().Add(patience); time.Now().Before(end) && wait(t.Context(), look); {
		if left = remains(t, host, before); len(left) > 0 {
			continue
		}
		now = measure(t, host)
		if left = now.busier(fresh); len(left) == 0 {
			return now
		}
	}
	for _, what := range left {
		t.Errorf("%v after the crowd has left, %s", patience, what)
	}
	return measure(t, host)
}

// busier tells which idle processes do more than fresh ones.
func (fs footprints) busier(fresh footprints) (busy []string) {
	for name, f := range fs {
		if was := fresh[name].idle; f.idle > 2*was+idleTime/50 {
			busy = append(busy, fmt.Sprintf("%s takes %v of CPU time in %v, fresh %v", name, f.idle, idleTime, was))
		}
	}
	return busy
}

func remains(t *testing.T, host *harness.Host, before footprints) (left []string) {
	t.Helper()
	metrics := host.Metrics()
	if len(metrics) == 0 {
		return []string{"no metrics"}
	}
	for _, gauge := range []string{"sidereal_engine_sessions", "sidereal_socketio_sockets", "sidereal_router_connections"} {
		if n := sum(metrics, gauge); n != 0 {
			left = append(left, fmt.Sprintf("%s: %v", gauge, n))
		}
	}
	if before == nil {
		return left
	}
	for name, f := range glance(t, host) {
		for _, grown := range f.within(before[name]) {
			left = append(left, name+": "+grown)
		}
	}
	return left
}

// sum adds up the samples of a metric.
func sum(metrics map[string]float64, name string) (total float64) {
	for sample, v := range metrics {
		if base, _, _ := strings.Cut(sample, "{"); base == name {
			total += v
		}
	}
	return total
}

// resident is the memory of a process that is its own alone: what it shares with others of the same
// program is theirs, too.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("RssAnon:")); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(rest)), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no RssAnon of process %d", pid)
	return 0
}

// used is the CPU time of a process: its clock counts nanoseconds of all its threads.
func used(t *testing.T, pid int) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^uint32(pid)<<3|2), &ts); err != nil { // CPUCLOCK_SCHED, see clock_getcpuclockid(3)
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}
