package world

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
)

// Starter is the command line of an operator.
type Starter struct {
	*World
	Bin string
	Dir string   // where it is called
	Env []string // besides that of the tests, and the way to Temporal and the data root
}

// ShortLived is in the environment of commands that end in a moment: a quarter of their time
// would be the garbage collector's.
const ShortLived = "GOGC=off"

// Starter is the command line of this world's operator.
func (w *World) Starter() Starter { return Starter{World: w, Bin: Build(w.T, "starter")} }

// Command is a command line of the starter.
func (s Starter) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.Bin, args...)
	cmd.Dir = s.Dir
	cmd.Env = append(append(os.Environ(), ShortLived, "TEMPORAL_ADDRESS="+s.Temporal, "DATA_ROOT="+s.DataRoot, "CONNECTIONS_FILE="+s.Path("connections.yaml")), s.Env...)
	return cmd
}

// Call runs a command line and gives its exit status and what it wrote.
func (s Starter) Call(args ...string) (status int, out, errOut string) {
	s.T.Helper()
	var o, e bytes.Buffer
	cmd := s.Command(args...)
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.T.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// Want runs a command line that has to end with a status, and gives its output.
func (s Starter) Want(status int, args ...string) string {
	s.T.Helper()
	got, out, errOut := s.Call(args...)
	if got != status {
		s.T.Fatalf("starter %s: status %d, want %d\n%s\n%s", strings.Join(args, " "), got, status, out, errOut)
	}
	return out + errOut
}

// Contains fails the test unless the text has all parts.
func (s Starter) Contains(text string, parts ...string) {
	s.T.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			s.T.Errorf("lacks %q:\n%s", part, text)
		}
	}
}
