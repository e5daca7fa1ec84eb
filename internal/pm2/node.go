package pm2

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed evaluate.cjs
var evaluator string

const (
	nodeTimeout = 20 * time.Second // a cold start on a busy machine takes seconds
	afterKill   = time.Second      // for programs that still hold the output of an ended node
	maxResult   = 4 << 20          // bytes of an answer
)

// advice ends the error about a file that only node can evaluate.
const advice = "; install node to have it evaluated, or write the file as JSON or YAML"

// evaluate has node evaluate a file in the loader's folder and environment. It reads src as an
// expression, or imports the file as a module if src is nil. It puts what the file does to
// process.env into the loader's environment.
func (l *Loader) evaluate(ctx context.Context, file string, src *string) (value, error) {
	node := l.node()
	if node == "" {
		return nil, &SyntaxError{File: file, Rule: "is JavaScript, and there is no node in PATH" + advice}
	}
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	kind := "module"
	if src != nil {
		kind = "expression"
	}
	cmd := exec.CommandContext(ctx, node, append([]string{"-e", evaluator, "--", kind, file}, l.Argv...)...)
	cmd.Dir, cmd.Env = l.Dir, l.Environ
	if src != nil {
		cmd.Stdin = strings.NewReader(*src)
	}
	cmd.Stdout, cmd.Stderr = l.Output, l.Output
	cmd.ExtraFiles = []*os.File{write}
	cmd.WaitDelay = afterKill
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it starts ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Start()
	write.Close()
	if err != nil {
		return nil, fmt.Errorf("pm2: start node: %w", err)
	}
	answered := make(chan evaluation, 1)
	go func() { answered <- readEvaluation(read) }()
	ended := cmd.Wait()
	if ctx.Err() != nil {
		return nil, &SyntaxError{File: file, Rule: fmt.Sprintf("node hasn't evaluated it within %v", nodeTimeout)}
	}
	// Programs that node started may hold the pipe open, but all that node wrote is in it.
	if err := read.SetReadDeadline(time.Now().Add(afterKill)); err != nil {
		return nil, err
	}
	answer := <-answered
	l.Environ = answer.changed(l.Environ)
	return answer.result(file, ended)
}

// evaluation is node's answer.
type evaluation struct {
	Value json.RawMessage    `json:"value"`
	Env   map[string]*string `json:"env"` // that the file has changed; nil: removed
	Error *string            `json:"error"`
	Stack string             `json:"stack"`
	err   error              // there was no answer
}

func readEvaluation(r io.Reader) (e evaluation) {
	e.err = json.NewDecoder(io.LimitReader(r, maxResult)).Decode(&e)
	return e
}

// changed returns an environment with the changes that the file made.
func (e evaluation) changed(environ []string) []string {
	if len(e.Env) == 0 {
		return environ
	}
	env := Shell(environ)
	for name, v := range e.Env {
		if delete(env, name); v != nil {
			env[name] = *v
		}
	}
	changed := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		changed = append(changed, name+"="+env[name])
	}
	return changed
}

func (e evaluation) result(file string, ended error) (value, error) {
	switch {
	case e.err != nil:
		return nil, &SyntaxError{File: file, Rule: fmt.Sprintf("node gave no result (%v)", firstCause(ended, e.err))}
	case e.Error != nil:
		return nil, &SyntaxError{File: file, Line: stackLine(e.Stack, file), Rule: oneLine(*e.Error)}
	case len(e.Value) == 0: // a function
		return nil, nil
	}
	return readJSON(file, string(e.Value))
}

// firstCause returns the error that says more.
func firstCause(a, b error) error {
	if a != nil {
		return a
	}
	if errors.Is(b, io.ErrUnexpectedEOF) || errors.Is(b, io.EOF) {
		return errors.New("node exited, or wrote more than 4 MB")
	}
	return b
}

// oneLine returns node's error message without the list of modules behind it.
func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\nRequire stack:")
	return strings.Join(strings.Fields(s), " ")
}

// stackLine finds the line of the file in the stack of an error; 0 if it isn't there.
func stackLine(stack, file string) int {
	m := regexp.MustCompile(regexp.QuoteMeta(file) + `:(\d+)`).FindStringSubmatch(stack)
	if m == nil {
		return 0
	}
	line, _ := strconv.Atoi(m[1]) // digits; too many are no line
	return line
}
