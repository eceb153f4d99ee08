package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a program of its own that takes part in a measurement.
type process struct {
	cmd     *exec.Cmd
	started time.Time
	done    chan error
	ended   bool
}

// start starts a program whose output goes to a file.
func start(logFile string, env []string, name string, args ...string) (*process, error) {
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{cmd: exec.Command(name, args...), done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	return p, nil
}

// usage is what a process has used.
type usage struct {
	CPU  float64 // seconds, user and system
	Peak float64 // megabytes of memory, 0 where the system does not say
}

// stopWithin is how long a process gets to stop by itself.
const stopWithin = 40 * time.Second

// stop ends the process and tells what it has used.
func (p *process) stop() usage {
	peak := p.peak()
	if !p.ended {
		p.ended = true
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(stopWithin):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
	s := p.cmd.ProcessState
	return usage{CPU: (s.UserTime() + s.SystemTime()).Seconds(), Peak: peak}
}

// freePort finds a port of this machine that nobody uses just now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// answers waits until a server answers.
func answers(ctx context.Context, url string, p *process) error {
	for {
		if r, err := http.Get(url); err == nil {
			r.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-p.done:
			p.ended = true
			return errors.Join(fmt.Errorf("%s ended before it answered", p.cmd.Path), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// peak is the most memory that the process was resident with, in megabytes, 0 where
// the system does not say. It is not taken from the resource usage of an ended
// process, where Linux counts what the parent had when it started it.
func (p *process) peak() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes float64
	if _, err := fmt.Sscanf(after, "%f kB", &kilobytes); err != nil {
		return 0
	}
	return kilobytes * 1024 / 1e6
}
