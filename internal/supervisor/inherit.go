package supervisor

import (
	"fmt"
	"net"
	"os"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// LineEnv is the variable in which a child finds the descriptor of its line.
const LineEnv = "SIDEREAL_SUPERVISOR_FD"

// firstFD is the first descriptor that a child inherits beside the standard ones.
const firstFD = 3

// inheritance is what a child gets at its start. close closes the supervisor's copies.
type inheritance struct {
	files                 []*os.File // from firstFD on
	env                   []string
	stdin, stdout, stderr *os.File // nil: the child reads nothing, or nobody reads what it writes
}

func (in *inheritance) close() {
	closeAll(in.files)
	for _, f := range []*os.File{in.stdin, in.stdout, in.stderr} {
		if f != nil {
			f.Close()
		}
	}
}

// prepare makes all that a process inherits, and returns our ends of its output.
func (in *inheritance) prepare(p *process) ([]*stream, error) {
	if !p.spec.Unlined {
		if err := in.addLine(p); err != nil {
			return nil, err
		}
	}
	if err := in.addListeners(p.spec.Listeners); err != nil {
		return nil, err
	}
	if p.spec.Agent != nil {
		if err := p.attachment.bind(in); err != nil {
			return nil, err
		}
	}
	if p.spec.Input {
		if err := in.addInput(p); err != nil {
			return nil, err
		}
	}
	return in.addStreams(p.spec)
}

// add gives the child a file and returns its descriptor there.
func (in *inheritance) add(f *os.File) int {
	in.files = append(in.files, f)
	return firstFD + len(in.files) - 1
}

func (in *inheritance) addLine(p *process) error {
	ours, theirs, err := lifeline.Pair()
	if err != nil {
		return fmt.Errorf("line: %w", err)
	}
	p.line = ours
	in.env = append(in.env, fmt.Sprintf("%s=%d", LineEnv, in.add(theirs)))
	return nil
}

func (in *inheritance) addListeners(listeners []*net.TCPListener) error {
	if len(listeners) == 0 {
		return nil
	}
	sockets, env, err := inherit(listeners, firstFD+len(in.files))
	if err != nil {
		return fmt.Errorf("listening socket: %w", err)
	}
	in.files = append(in.files, sockets...)
	in.env = append(in.env, env)
	return nil
}

// addInput makes the pipe of the child's input.
func (in *inheritance) addInput(p *process) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("input: %w", err)
	}
	in.stdin, p.input = r, w
	return nil
}

// addStreams makes the pipes of the child's output, and returns our ends: one for both streams, or
// two.
func (in *inheritance) addStreams(spec *Spec) (ours []*stream, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	in.stdout, in.stderr = w, w
	if spec.Stdout == nil && spec.Stderr == nil {
		return []*stream{{File: r}}, nil
	}
	r2, w2, err := os.Pipe()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("output: %w", err)
	}
	in.stderr = w2
	return []*stream{{File: r}, {File: r2}}, nil
}
