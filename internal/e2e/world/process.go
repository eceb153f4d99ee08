package world

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"iterable-segment-export/internal/devstack"
	"iterable-segment-export/internal/sandbox"
)

// Build builds a command of the program and returns its path in Go's build cache. "go run"
// stores linked programs there, so a program is linked once for all tests.
func Build(t *testing.T, command string) string {
	t.Helper()
	built, _ := programs.LoadOrStore(command, sync.OnceValues(func() (string, error) { return link(command) }))
	bin, err := built.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// programs builds each program once for this process, by its command.
var programs sync.Map

// link makes "go run" link a program and print its path instead of running it.
func link(command string) (string, error) {
	for range 2 { // the first time, the path is that of a temporary file
		cmd := exec.Command("go", "run", "-exec", "echo", "iterable-segment-export/"+command)
		var errOut strings.Builder
		cmd.Stderr = &errOut
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("build the %s: %w\n%s", command, err, errOut.String())
		}
		bin := strings.TrimSpace(string(out))
		if _, err := os.Stat(bin); err == nil {
			return bin, nil
		}
	}
	return "", fmt.Errorf("go run did not store the %s in the build cache", command)
}

// Process starts the worker as a separate process. It writes its log to a file.
func (w *World) Process(bin, log string) *exec.Cmd {
	w.T.Helper()
	return w.ProcessOf(log, exec.Command(bin))
}

// ProcessOf starts a worker with that command, and adds the world's environment to its own.
func (w *World) ProcessOf(log string, cmd *exec.Cmd) *exec.Cmd {
	w.T.Helper()
	out, err := os.Create(w.Path(log))
	if err != nil {
		w.T.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(append(os.Environ(),
		"TEMPORAL_ADDRESS="+w.Temporal, "CONNECTIONS_FILE="+w.Path("connections.yaml"),
		"DATA_ROOT="+w.DataRoot, "TEMP_DIR="+w.T.TempDir(), "STOP_TIMEOUT=5s", "LOG_LEVEL=warn"), cmd.Env...)
	diesWithTests(cmd)
	if err := cmd.Start(); err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// temporalDirEnv makes a test's program run Temporal, with its state in that folder, at the
// address in temporalAddrEnv.
const (
	temporalDirEnv  = "E2E_TEMPORAL_DIR"
	temporalAddrEnv = "E2E_TEMPORAL_ADDR"
)

// Main runs a package's tests, or Temporal in a process that TemporalProcess started.
func Main(m *testing.M) {
	if dir := os.Getenv(temporalDirEnv); dir != "" {
		beTemporal(dir)
		return
	}
	flag.Parse()
	if !given("test.parallel") {
		_ = flag.Set("test.parallel", strconv.Itoa(sideBySide))
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(fewerCollections)
		debug.SetMemoryLimit(enoughMemory)
	}
	http.DefaultClient.Timeout = Patience
	sayWhatHangs()
	status := m.Run()
	stopping.Wait()
	os.Exit(status)
}

// sayWhatHangs ends the tests half a minute before Go's time limit with the goroutines that run
// a test. Go's own dump has thousands more, those of Temporal's servers.
func sayWhatHangs() {
	limit := flag.Lookup("test.timeout").Value.(flag.Getter).Get().(time.Duration)
	if limit < time.Minute {
		return
	}
	time.AfterFunc(limit-30*time.Second, func() {
		var all bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&all, 2)
		for stack := range strings.SplitSeq(all.String(), "\n\n") {
			if strings.Contains(stack, "testing.tRunner(") {
				fmt.Fprintf(os.Stderr, "%s\n\n", stack)
			}
		}
		fmt.Fprintf(os.Stderr, "FAIL: the tests above hang after %s\n", limit)
		os.Exit(1)
	})
}

// Ended waits until a process has ended, and fails the test if that takes too long.
func (w *World) Ended(cmd *exec.Cmd) {
	w.T.Helper()
	late := time.AfterFunc(Patience, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	if !late.Stop() {
		w.T.Errorf("%s has not ended by itself", cmd)
	}
}

// Garbage collection would need an eighth of the processor's time. With fewerCollections, in
// percent, it happens when the heap has grown to four times what is in use. Above enoughMemory, in
// bytes, it happens more often.
const (
	fewerCollections = 300
	enoughMemory     = 2 << 30
)

// sideBySide is the number of tests that run in parallel. Most of the time they wait for
// timers, retries and answers.
const sideBySide = 8

// given reports whether a flag was set on the command line.
func given(name string) (is bool) {
	flag.Visit(func(f *flag.Flag) { is = is || f.Name == name })
	return is
}

// stopping waits for servers that stop in the background. Stopping one needs a second, for
// which tests don't have to wait.
var stopping sync.WaitGroup

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

// NewApart starts a sandbox in this process, and Temporal as a separate one.
func NewApart(t *testing.T, c sandbox.Config, limits string) (*World, *TemporalProcess) {
	t.Helper()
	w := &World{T: t, Dir: t.TempDir(), Sandbox: NewSandbox(t, c)}
	w.Sources, w.DataRoot = w.Path("segments"), w.Path("data")
	w.StartSandbox()
	w.Temporal = FreeAddr(t)
	p := &TemporalProcess{w: w}
	p.Start()
	w.Dial()
	w.WriteConnections(limits)
	w.OpenRoot()
	return w, p
}

// TemporalProcess is Temporal in a process that can be killed and started again with its
// state.
type TemporalProcess struct {
	w   *World
	cmd *exec.Cmd
}

// Start starts Temporal, and waits until it answers.
func (p *TemporalProcess) Start() {
	t := p.w.T
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), temporalDirEnv+"="+p.w.Path("temporal"), temporalAddrEnv+"="+p.w.Temporal)
	diesWithTests(cmd)
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
	late := time.AfterFunc(Patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("Temporal did not start: %q", lines.Text())
	}
	p.cmd = cmd
}

// Kill ends Temporal with SIGKILL.
func (p *TemporalProcess) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// ChaosEnv selects the long version of the tests of kills, faults and load; the short one needs
// seconds.
const ChaosEnv = "CHAOS"

// Earnest returns long in the long version of a test, otherwise short.
func Earnest[T any](short, long T) T {
	if os.Getenv(ChaosEnv) != "" {
		return long
	}
	return short
}
