package redisserver

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestEmbeddedSpeaksAsRedisDoes sends the same bytes to the embedded and to a real Redis: both must
// answer the same.
func TestEmbeddedSpeaksAsRedisDoes(t *testing.T) {
	theirs := testkit.StartRedis(t, "--requirepass", "p").Addr()
	ours := embedded(t, "p").Addr()
	for name, commands := range map[string][]string{
		"no password":          {"SUBSCRIBE", "SUBSCRIBE a", "PUBLISH a x", "PSUBSCRIBE a", "UNSUBSCRIBE", "PUBSUB CHANNELS", "PING", "AUTH p", "PUBLISH a x"},
		"subscribe":            {"AUTH p", "SUBSCRIBE a b a", "PSUBSCRIBE p* a", "UNSUBSCRIBE b nothing", "PUNSUBSCRIBE a", "PUNSUBSCRIBE", "UNSUBSCRIBE"},
		"nothing to end":       {"AUTH p", "UNSUBSCRIBE", "PUNSUBSCRIBE", "UNSUBSCRIBE a", "GET k"},
		"patterns remain":      {"AUTH p", "PSUBSCRIBE p*", "UNSUBSCRIBE", "GET k", "PUNSUBSCRIBE p*", "GET k"},
		"only some commands":   {"AUTH p", "SUBSCRIBE a", "GET k", "PUBLISH a x", "MULTI", "AUTH p", "PING", "PING x", "UNSUBSCRIBE a", "PING", "GET k"},
		"arguments":            {"AUTH p", "SUBSCRIBE", "PSUBSCRIBE", "PUBLISH a", "PUBLISH a b c", "SUBSCRIBE a", "PING a b"},
		"questions":            {"AUTH p", "PUBSUB CHANNELS", "PUBSUB CHANNELS *", "PUBSUB numsub", "PUBSUB NUMSUB a b", "PUBSUB NUMPAT"},
		"reset":                {"AUTH p", "MULTI", "SUBSCRIBE", "RESET", "PING", "AUTH p", "SUBSCRIBE a", "RESET", "PUBLISH a x", "AUTH p", "PUBLISH a x"},
		"quit while listening": {"AUTH p", "SUBSCRIBE a", "QUIT", "PING"},
		"transaction":          {"AUTH p", "MULTI", "PUBLISH a x", "SET k v", "EXEC", "DEL k", "MULTI", "PUBLISH a x", "DISCARD", "PUBLISH a x"},
		"malformed in it":      {"AUTH p", "MULTI", "PUBLISH a", "EXEC", "PUBLISH a x"},
		"RESP3":                {"HELLO 3 AUTH default p", "SUBSCRIBE a", "PSUBSCRIBE p*", "PING", "GET k", "PUBSUB NUMSUB a", "UNSUBSCRIBE", "PUNSUBSCRIBE", "UNSUBSCRIBE"},
		"RESP3 reset":          {"HELLO 3 AUTH default p", "SUBSCRIBE a", "RESET", "AUTH p", "SUBSCRIBE a"},
	} {
		t.Run(name, func(t *testing.T) {
			want, got := converse(t, theirs, commands), converse(t, ours, commands)
			if strings.Contains(want, "-NOSUB ") {
				t.Skip("the embedded Redis answers as Redis does; Valkey refuses to end no subscription")
			}
			if got != want {
				t.Errorf("answers\n%q\nwant\n%q", got, want)
			}
		})
	}
}

// converse sends commands one by one in one write, and returns all that comes back.
func converse(t *testing.T, addr string, commands []string) string {
	t.Helper()
	c := dial(t, addr)
	var b []byte
	for _, command := range append(commands, "QUIT") {
		args := strings.Fields(command)
		b = fmt.Appendf(b, "*%d\r\n", len(args))
		for _, arg := range args {
			b = appendBulk(b, arg)
		}
	}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(c.r)
	if err != nil {
		t.Fatal(err)
	}
	text := string(answers)
	if strings.HasPrefix(commands[0], "HELLO") { // it says who it is
		_, text, _ = strings.Cut(text, "*0\r\n")
	}
	return text
}

func TestEmbeddedRefusesSubscribeInTransaction(t *testing.T) {
	got := converse(t, embedded(t, "p").Addr(), []string{"AUTH p", "MULTI", "SUBSCRIBE a", "EXEC", "SUBSCRIBE a"})
	want := "+OK\r\n+OK\r\n-ERR SUBSCRIBE is not served inside MULTI\r\n" +
		"-EXECABORT Transaction discarded because of previous errors.\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+OK\r\n"
	if got != want {
		t.Errorf("got %q", got)
	}
}

func TestEmbeddedTellsWhatIsNoCommand(t *testing.T) {
	addr := embedded(t, "").Addr()
	for sent, want := range map[string]string{
		"GET / HTTP/1.1\r\n":       "-ERR Protocol error: expected '*', got 'G'\r\n",
		"*1\r\n+PING\r\n":          "-ERR Protocol error: expected '$', got '+'\r\n",
		"*9999999\r\n":             "-ERR Protocol error: invalid length\r\n",
		"*1\r\n$-1\r\n":            "-ERR Protocol error: invalid bulk length\r\n",
		"*1\r\n$999999999999\r\n":  "-ERR Protocol error: invalid length\r\n",
		"*0\r\n*-1\r\n\r\n":        "-ERR Protocol error: expected '*', got '\r'\r\n",
		"*1\r\n$4\r\nQUIT\r\nmore": "+OK\r\n",
	} {
		c := dial(t, addr)
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c.r, got); err != nil || string(got) != want {
			t.Errorf("%q is answered with %q, %v", sent, got, err)
		}
		if _, err := c.r.ReadByte(); err == nil {
			t.Errorf("%q: more follows", sent)
		}
	}
}
