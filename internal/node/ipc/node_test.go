package ipc

import (
	"encoding/hex"
	"flag"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

var record = flag.Bool("record", false, "record testdata/frames.txt from the node that is installed")

// recorded is where the frames that a real Node sent are kept, one in a line, in hexadecimal.
const recorded = "testdata/frames.txt"

func recordedFrames(t testing.TB) (frames []Frame) {
	t.Helper()
	raw, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, b)
	}
	return frames
}

// node is a child with a channel.
type node struct {
	t     *testing.T
	conn  net.Conn
	split Splitter
	queue []Frame
}

func startNode(t *testing.T, mode Mode) *node {
	t.Helper()
	path := testkit.Need(t, "node")
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "channel"), os.NewFile(uintptr(fds[1]), "channel")
	defer theirs.Close()
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "testdata/child.js")
	cmd.Env = append(os.Environ(), "NODE_CHANNEL_FD=3", "NODE_CHANNEL_SERIALIZATION_MODE="+string(mode))
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &node{t: t, conn: conn, split: Splitter{Mode: mode, Limit: 1 << 20}}
}

// receive returns the next frame and its message.
func (n *node) receive() (Frame, *Object) {
	n.t.Helper()
	b := make([]byte, 4096)
	for len(n.queue) == 0 {
		k, err := n.conn.Read(b)
		if err != nil {
			n.t.Fatal(err)
		}
		if err := n.split.Feed(b[:k], func(f Frame) error { n.queue = append(n.queue, f); return nil }); err != nil {
			n.t.Fatal(err)
		}
	}
	f := n.queue[0]
	n.queue = n.queue[1:]
	v, err := Decode(n.split.Mode, f)
	o, ok := v.(*Object)
	if err != nil || !ok {
		n.t.Fatalf("%x: %v, %v", f, v, err)
	}
	return f, o
}

func (n *node) send(v Value) {
	n.t.Helper()
	f, err := Encode(n.split.Mode, v, 1<<20)
	if err == nil {
		_, err = n.conn.Write(f)
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// checkValue compares a decoded value with the text that JSON.stringify made of it in Node.
func checkValue(t *testing.T, o *Object) {
	t.Helper()
	want, ok := o.Get("text").(string)
	if !ok {
		return // JSON.stringify had refused it
	}
	if strings.Contains(want, `\ud800`) {
		want = strings.ReplaceAll(want, `\ud800`, "\uFFFD")
	}
	for _, exotic := range []string{"native", "floats", "bytes", "bufferTwice", "arrayBuffer", "buffer", "arrayWithProperty"} {
		if o.Text("name") == exotic { // JSON.stringify knows their kind; here they are bytes
			return
		}
	}
	got, err := AppendText(nil, &Array{Items: []Value{o.Get("value")}}, 1<<20, nil)
	if o.Text("name") == "error" {
		want = "[{}]"
	}
	if err != nil || string(got) != want {
		t.Errorf("%s: %s, %v; want %s", o.Text("name"), got, err, want)
	}
}

func TestReadsWhatNodeSends(t *testing.T) {
	n := startNode(t, Advanced)
	var lines strings.Builder
	for {
		f, o := n.receive()
		if o.Text("name") == "done" {
			break
		}
		checkValue(t, o)
		lines.WriteString(hex.EncodeToString(f) + "\n")
	}
	if *record {
		if err := os.WriteFile(recorded, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordedFrames(t *testing.T) {
	frames := recordedFrames(t)
	if len(frames) < 40 {
		t.Fatalf("%d frames recorded", len(frames))
	}
	for _, f := range frames {
		v, err := Decode(Advanced, f)
		if err != nil {
			t.Fatalf("%x: %v", f, err)
		}
		checkValue(t, v.(*Object))
	}
}

func TestNodeReadsWhatIsSent(t *testing.T) {
	for _, mode := range []Mode{Advanced, JSON} {
		t.Run(string(mode), func(t *testing.T) {
			n := startNode(t, mode)
			for {
				if _, o := n.receive(); o.Text("name") == "done" {
					break
				}
			}
			message := (&Object{}).
				Set("text", "na\u00efve \u65e5\u672c").Set("n", 1.5).Set("i", float64(-7)).Set("t", true).Set("f", false).
				Set("nothing", nil).Set("list", &Array{Items: []Value{1.0, "x", &Object{}, &Array{}}}).
				Set("bytes", []byte("some \x00bytes")).Set("date", Date(1700000000123)).Set("ключ", "x")
			n.send(message)
			_, o := n.receive()
			want, err := AppendText(nil, message, 1<<20, nil)
			if err != nil || o.Text("echo") != string(want) {
				t.Errorf("Node reads %s, want %s, %v", o.Text("echo"), want, err)
			}
			got, err := AppendText(nil, o.Get("message"), 1<<20, nil)
			if err != nil || string(got) != string(want) {
				t.Errorf("it comes back as %s, %v", got, err)
			}
		})
	}
}
