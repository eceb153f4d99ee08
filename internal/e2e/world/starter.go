package world

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Starter runs the command line starter.
type Starter struct {
	*World
	Bin string
	Dir string   // the working directory
	Env []string // in addition to the environment of the tests and the addresses of the world
}

// ShortLived is in the environment of commands that end soon: without it, garbage collection
// would need a quarter of their time.
const ShortLived = "GOGC=off"

// Starter returns the starter for this world.
func (w *World) Starter() Starter { return Starter{World: w, Bin: Build(w.T, "starter")} }

// Command returns a command of the starter.
func (s Starter) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.Bin, args...)
	cmd.Dir = s.Dir
	cmd.Env = append(append(os.Environ(), ShortLived, "TEMPORAL_ADDRESS="+s.Temporal, "DATA_ROOT="+s.DataRoot, "CONNECTIONS_FILE="+s.Path("connections.yaml")), s.Env...)
	return cmd
}

// Call runs a command and returns its exit status and output.
func (s Starter) Call(args ...string) (status int, out, errOut string) {
	s.T.Helper()
	var o, e bytes.Buffer
	cmd := s.Command(args...)
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Start()
	if err == nil {
		late := time.AfterFunc(2*Patience, func() { _ = cmd.Process.Kill() })
		err = cmd.Wait()
		if !late.Stop() {
			s.T.Fatalf("starter %s hangs\n%s\n%s", strings.Join(args, " "), &o, &e)
		}
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.T.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// Want runs a command, fails the test unless it ends with that status, and returns its output.
func (s Starter) Want(status int, args ...string) string {
	s.T.Helper()
	got, out, errOut := s.Call(args...)
	if got != status {
		s.T.Fatalf("starter %s: status %d, want %d\n%s\n%s", strings.Join(args, " "), got, status, out, errOut)
	}
	return out + errOut
}

// Contains fails the test unless the text contains all parts.
func (s Starter) Contains(text string, parts ...string) {
	s.T.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			s.T.Errorf("lacks %q:\n%s", part, text)
		}
	}
}
