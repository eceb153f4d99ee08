package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/sandbox"
)

// temporalDirEnv makes this test's program Temporal, with its state in that
// folder, at the address in temporalAddrEnv.
const (
	temporalDirEnv  = "E2E_TEMPORAL_DIR"
	temporalAddrEnv = "E2E_TEMPORAL_ADDR"
)

// beTemporal serves until the process is killed or its standard input ends.
func beTemporal(dir string) {
	stack, err := devstack.Start(context.Background(), devstack.Options{DataDir: dir, FrontendAddr: os.Getenv(temporalAddrEnv)})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = stack.Stop()
}

// newApartWorld starts a sandbox here, and Temporal as a process of its own.
func newApartWorld(t *testing.T, c sandbox.Config, limits string) (*world, *temporalProcess) {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), sandbox: sandbox.New(c)}
	w.sources, w.dataRoot = w.path("segments"), w.path("data")
	w.startSandbox()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.temporal = l.Addr().String()
	l.Close()
	p := &temporalProcess{w: w}
	p.start()
	w.dial()
	w.writeConnections(limits)
	w.openRoot()
	return w, p
}

// temporalProcess is Temporal in a process that can be killed and started again
// with the state that it had.
type temporalProcess struct {
	w   *world
	cmd *exec.Cmd
}

func (p *temporalProcess) start() {
	t := p.w.t
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), temporalDirEnv+"="+p.w.path("temporal"), temporalAddrEnv+"="+p.w.temporal)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("Temporal did not start: %q", lines.Text())
	}
	p.cmd = cmd
}

func (p *temporalProcess) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
