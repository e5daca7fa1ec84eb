package guardian

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// fdEnv is the variable in which a daemon finds its end of the pipe to its guardian.
const fdEnv = "DAEMON_GUARDIAN_FD"

// exitFailed is the exit code of a daemon that a signal killed.
const exitFailed = 1

// endTime is how long [End] tries. A process that another user runs, or that waits for a disk, may
// not end.
const endTime = 5 * time.Second

// Needed reports whether this process should run as the child of a guardian and doesn't yet.
// Process 1 of a container needs none: all others end with it. A service of systemd needs none
// either.
func Needed() bool {
	for _, name := range []string{fdEnv, "NOTIFY_SOCKET", "LISTEN_FDS"} {
		if os.Getenv(name) != "" {
			return false
		}
	}
	return supported && os.Getpid() != 1
}

// Run executes this program again with its arguments, passes signals on to it, and kills what it
// leaves behind. It returns the exit code of the program. files are descriptors of this process
// that the program inherits as they are, from 3 on.
func Run(files ...*os.File) (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return exitFailed, err
	}
	if err := adoptOrphans(); err != nil {
		return exitFailed, err
	}
	theirs, ours, err := os.Pipe() // nothing is written: its end tells of ours
	if err != nil {
		return exitFailed, err
	}
	defer ours.Close()
	cmd := &exec.Cmd{
		Path: self, Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		ExtraFiles:  append(files[:len(files):len(files)], theirs),
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true}, // a Ctrl-C comes once, from us
	}
	cmd.Env = append(os.Environ(), fdEnv+"="+strconv.Itoa(3+len(files)))
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	if err := cmd.Start(); err != nil {
		return exitFailed, err
	}
	theirs.Close()
	for _, f := range files {
		f.Close()
	}
	rename()
	ended := make(chan int)
	go func() { ended <- await(cmd.Process.Pid) }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // an error means that it has ended
		case code := <-ended:
			End()
			return code, nil
		}
	}
}

// Watch makes this process the child of its guardian, if it has one: the process gets the orphans
// below it, and Watch calls lost once the guardian has ended. stop ends the watch and waits for it.
func Watch(lost func()) (stop func(), err error) {
	fd, err := strconv.Atoi(os.Getenv(fdEnv))
	if err != nil || fd < 3 {
		return func() {}, nil
	}
	if err := os.Unsetenv(fdEnv); err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil { // so that Close ends a Read
		return nil, fmt.Errorf("guardian: descriptor %d: %w", fd, err)
	}
	if err := adoptOrphans(); err != nil {
		return nil, err
	}
	pipe := os.NewFile(uintptr(fd), "guardian")
	var watching sync.WaitGroup
	watching.Go(func() {
		if _, err := pipe.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
			lost()
		}
	})
	return func() {
		pipe.Close()
		watching.Wait()
	}, nil
}
