package lifeline

import (
	"bytes"
	"os"
	"strings"
	"syscall"

	"github.com/sidereal-io/sidereal/internal/netio"
)

// maxLine bounds a line, in both directions. Most have a few dozen bytes; those that carry a
// message have what it has.
const maxLine = 1 << 20

// read takes lines until the supervisor's end is closed, or the line is.
func (l *Line) read(told func(Told)) {
	var (
		pending []byte     // of a line that is not whole yet
		files   []*os.File // came with bytes read already
		buf     = make([]byte, 4096)
		oob     = make([]byte, syscall.CmsgSpace(4*8))
	)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for {
		n, oobn, _, _, err := l.conn.ReadMsgUnix(buf, oob)
		files = append(files, descriptors(oob[:oobn])...)
		if n <= 0 || err != nil { // -1 with ECONNRESET, where the other end left something unread
			return
		}
		pending = append(pending, buf[:n]...)
		for {
			text, rest, whole := bytes.Cut(pending, []byte{'\n'})
			if !whole {
				break
			}
			key, value, _ := strings.Cut(string(text), "=")
			t := Told{Key: key, Value: value}
			if withFile(key) && len(files) > 0 {
				t.File, files = files[0], files[1:]
			}
			pending = rest
			told(t)
		}
		if len(pending) > maxLine {
			return
		}
		if len(pending) == 0 {
			pending = nil
		}
	}
}

// descriptors opens what came beside a message.
func descriptors(oob []byte) (files []*os.File) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd) // Linux has done so in the same step
			files = append(files, os.NewFile(uintptr(fd), "told"))
		}
	}
	return files
}

// SocketPair makes two connected unix stream sockets that no child inherits by accident.
func SocketPair(name string) (a, b *os.File, err error) {
	one, other, err := netio.SocketPair(false)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(one), name), os.NewFile(uintptr(other), name), nil
}
