package cluster

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// store is the Redis, or the nodes of the Redis Cluster, that the members share.
type store struct {
	url   string
	nodes []*testkit.Redis
}

// usage is what Redis and this process have used.
type usage struct {
	redis   time.Duration   // CPU of all nodes
	each    []time.Duration // of each node
	members time.Duration   // CPU of this process
	in, out int64           // bytes of Redis
	calls   map[string]int64
	at      time.Time
}

// read reads the counters. Reading costs a few commands, which it doesn't count.
func (s store) read(t testing.TB) usage {
	t.Helper()
	u := usage{calls: make(map[string]int64), at: time.Now()}
	for _, node := range s.nodes {
		info, _ := node.Do("INFO", "all").(string)
		var cpu time.Duration
		for line := range strings.Lines(info) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			switch {
			case name == "used_cpu_sys", name == "used_cpu_user":
				seconds, _ := strconv.ParseFloat(value, 64)
				cpu += time.Duration(seconds * float64(time.Second))
			case name == "total_net_input_bytes":
				n, _ := strconv.ParseInt(value, 10, 64)
				u.in += n
			case name == "total_net_output_bytes":
				n, _ := strconv.ParseInt(value, 10, 64)
				u.out += n
			case strings.HasPrefix(name, "cmdstat_"):
				calls, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
				n, _ := strconv.ParseInt(calls, 10, 64)
				if command := strings.TrimPrefix(name, "cmdstat_"); command != "info" {
					u.calls[command] += n
				}
			}
		}
		u.redis += cpu
		u.each = append(u.each, cpu)
	}
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		t.Fatal(err)
	}
	u.members = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	return u
}

// since returns what was used after before was read.
func (u usage) since(before usage) usage {
	d := usage{redis: u.redis - before.redis, members: u.members - before.members, in: u.in - before.in, out: u.out - before.out,
		calls: make(map[string]int64), at: before.at}
	for i := range u.each {
		d.each = append(d.each, u.each[i]-before.each[i])
	}
	for command, n := range u.calls {
		if n -= before.calls[command]; n > 0 {
			d.calls[command] = n
		}
	}
	return d
}

func single(t testing.TB) store {
	r := testkit.StartRedis(t, "--maxclients", "19000", "--client-output-buffer-limit", "pubsub", "0", "0", "0")
	return store{r.URL(), []*testkit.Redis{r}}
}
