// Package faults breaks what a run depends on: the API, storage, workers, hosts,
// Temporal and the clock; and it keeps a worker busy.
package faults

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
)

// relaysEnv makes this test's program a relay: see TestMain.
const relaysEnv = "E2E_RELAYS"

// TestMain runs the tests, or, in a host of the test of a fleet, passes
// connections on until its standard input ends.
func TestMain(m *testing.M) {
	relays := os.Getenv(relaysEnv)
	if relays == "" {
		world.Main(m)
		return
	}
	for _, r := range strings.Fields(relays) {
		from, to, _ := strings.Cut(r, ">")
		if _, err := relay(from, to, new(atomic.Int64)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// relay passes connections on, and counts the bytes that come in by them.
func relay(from, to string, came *atomic.Int64) (net.Listener, error) {
	l, err := net.Listen("tcp", from)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer out.Close()
				go func() {
					_, _ = io.Copy(&counted{out, came}, in)
					_ = out.Close()
				}()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
	return l, nil
}

type counted struct {
	io.Writer
	bytes *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p)))
	return c.Writer.Write(p)
}

// hostMachine is a network of its own, which reaches services of this machine
// at the same addresses of 127.0.0.1 as here, over a cable.
type hostMachine struct {
	w     *world.World
	name  string
	cable string
	came  map[string]*atomic.Int64 // bytes from the host, by the service's address
}

// ip calls the command of that name.
func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// newHost makes a host that reaches these services. It takes rights that few
// places give; without them the test is skipped.
func newHost(w *world.World, number int, services ...string) *hostMachine {
	w.T.Helper()
	h := &hostMachine{w: w, name: fmt.Sprintf("ise%d-%d", os.Getpid()%10000, number), came: map[string]*atomic.Int64{}}
	h.cable = "v-" + h.name
	if err := ip("netns", "add", h.name); err != nil {
		w.T.Skipf("no network namespaces here: %v", err)
	}
	w.T.Cleanup(func() { _ = ip("netns", "del", h.name) })
	subnet := os.Getpid()%60*4 + number // a killed test leaves its own behind
	here, there := fmt.Sprintf("10.213.%d.1", subnet), fmt.Sprintf("10.213.%d.2", subnet)
	for _, args := range [][]string{
		{"link", "add", h.cable, "type", "veth", "peer", "name", "eth0", "netns", h.name},
		{"addr", "add", here + "/30", "dev", h.cable},
		{"link", "set", h.cable, "up"},
		{"-n", h.name, "addr", "add", there + "/30", "dev", "eth0"},
		{"-n", h.name, "link", "set", "eth0", "up"},
		{"-n", h.name, "link", "set", "lo", "up"},
	} {
		if err := ip(args...); err != nil {
			w.T.Skipf("no network namespaces here: %v", err)
		}
	}
	var relays []string
	for _, addr := range services {
		_, port, _ := net.SplitHostPort(addr)
		h.came[addr] = new(atomic.Int64)
		l, err := relay(net.JoinHostPort(here, port), addr, h.came[addr])
		if err != nil {
			w.T.Fatal(err)
		}
		w.T.Cleanup(func() { _ = l.Close() })
		relays = append(relays, addr+">"+l.Addr().String())
	}
	h.startRelays(relays)
	return h
}

func (h *hostMachine) startRelays(relays []string) {
	h.w.T.Helper()
	cmd := exec.Command("ip", "netns", "exec", h.name, os.Args[0])
	cmd.Env = append(os.Environ(), relaysEnv+"="+strings.Join(relays, " "))
	in, err := cmd.StdinPipe()
	if err != nil {
		h.w.T.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.w.T.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.w.T.Fatal(err)
	}
	h.w.T.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	late := time.AfterFunc(world.Patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	said := make([]byte, len("ready"))
	if _, err := io.ReadFull(out, said); err != nil || string(said) != "ready" {
		h.w.T.Fatalf("the relays of a host: %q, %v", said, err)
	}
}

// worker starts a worker on the host.
func (h *hostMachine) worker(bin string) *exec.Cmd {
	h.w.T.Helper()
	return h.w.ProcessOf(h.name+".log", exec.Command("ip", "netns", "exec", h.name, bin))
}

// plug connects the host, or cuts it off.
func (h *hostMachine) plug(in bool) {
	h.w.T.Helper()
	how := map[bool]string{true: "up", false: "down"}[in]
	if err := ip("link", "set", h.cable, how); err != nil {
		h.w.T.Fatal(err)
	}
}
