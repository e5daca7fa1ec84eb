package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestCheckNamesTheAdaptersRights: a line for each right that the chosen form lacks, and exit code
// 2.
func TestCheckNamesTheAdaptersRights(t *testing.T) {
	store := testkit.StartRedis(t)
	url := strings.Replace(store.URL(), "://", "://bob:pass@", 1)
	const directory = "+ping +get +mget +set +incrby +del +exists +expire +pttl +sadd +srem +smembers +hset +hdel +hgetall +publish +subscribe " +
		"~sidereal:default:sid:* ~{sidereal:default}:* resetchannels &{sidereal:default}:events "
	for _, c := range []struct {
		environ string
		rights  string
		fails   []string // what each line names; none: nothing fails
	}{
		{"SIDEREAL_ADAPTER=memory", directory, nil},
		{"SIDEREAL_ADAPTER=redis", directory + "allchannels +@pubsub", nil},
		{"SIDEREAL_ADAPTER=redis-sharded", directory + "allchannels +ssubscribe +pubsub|numsub +pubsub|shardnumsub +spublish", []string{"SUNSUBSCRIBE: "}},
		{"SIDEREAL_ADAPTER=redis-sharded", directory + "+@pubsub &sidereal-peers:socket.io",
			[]string{"SPUBLISH on socket.io#/#check-", "SPUBLISH on socket.io#/#: ", "SPUBLISH on socket.io#/#", "SSUBSCRIBE on socket.io#/#: ",
				"SSUBSCRIBE on socket.io#/#", "SSUBSCRIBE on socket.io#/#check-"}},
		{"SIDEREAL_STREAM_NAME=rooms", directory + "allchannels +@pubsub +@stream ~rooms", nil},
		{"SIDEREAL_STREAM_NAME=rooms", directory + "allchannels +@pubsub +@stream ~room", []string{"XADD to rooms: ", "XREAD of rooms: ", "XINFO STREAM of rooms: ", "XTRIM of rooms: "}},
		{"SIDEREAL_RECOVERY=1m", directory + "allchannels +@pubsub +@stream ~socket.io ~sio:session:* +pexpire", []string{"EVAL on sio:session:check-"}},
	} {
		command := []any{"ACL", "SETUSER", "bob", "reset", "on", ">pass"}
		for rule := range strings.FieldsSeq(c.rights) {
			command = append(command, rule)
		}
		store.Do(command...)
		environ := []string{"SIDEREAL_REDIS_URL=" + url, "SIDEREAL_ADDR=127.0.0.1:0", "SIDEREAL_ADMIN_ADDR=off"}
		if !strings.HasPrefix(c.environ, "SIDEREAL_ADAPTER=") {
			environ = append(environ, "SIDEREAL_ADAPTER=redis-streams")
		}
		var out bytes.Buffer
		tried := checks{out: &out}
		var err error
		if tried.settings, err = config.Load(&tried.set, config.Source{Environ: append(environ, c.environ)}); err != nil {
			t.Fatal(err)
		}
		code := config.ExitDone
		if len(c.fails) > 0 {
			code = config.ExitUsage
		}
		if err := tried.run(t.Context()); (err != nil || code != 0) && err != exitCode(code) {
			t.Errorf("%s: %v, want exit code %d\n%s", c.environ, err, code, out.String())
		}
		var failed []string
		for line := range strings.Lines(out.String()) {
			if strings.HasPrefix(line, "FAIL ") {
				failed = append(failed, line)
			}
		}
		if len(failed) != len(c.fails) {
			t.Errorf("%s with %s:\n%s", c.environ, c.rights, out.String())
			continue
		}
		for i, line := range failed {
			if !strings.HasPrefix(line, "FAIL  adapter ") || !strings.Contains(line, c.fails[i]) {
				t.Errorf("%s: %swant %s", c.environ, line, c.fails[i])
			}
		}
	}
}
