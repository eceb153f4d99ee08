// Command dev builds the program in worker/dev/stack and becomes it. It imports only
// what compiles in seconds, so that it can show progress while Go compiles Temporal's server,
// which needs minutes the first time.
package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// stack is the program.
const stack = "iterable-segment-export/worker/dev/stack"

func main() {
	bin, err := place()
	if err == nil {
		b := build{program: stack, bin: bin, out: os.Stderr, quiet: 2 * time.Second, every: 15 * time.Second, count: packages}
		err = b.run()
	}
	if err == nil {
		err = become(bin, os.Args[1:])
	}
	fmt.Fprintln(os.Stderr, "dev:", err)
	os.Exit(1)
}

// place returns the path of the program between starts: go build does not rebuild one that is up
// to date. Each checkout has its own.
func place() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("ask Go where the source is: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	checkout := fnv.New64a() // SHA-256 would be half of what there is to compile
	checkout.Write(out)
	name := fmt.Sprintf("dev-%x", checkout.Sum64())
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(cache, "iterable-segment-export", name), nil
}

// become replaces this process by the program or, if the system can't do that, runs it as a
// child.
func become(bin string, args []string) error {
	err := syscall.Exec(bin, append([]string{bin}, args...), os.Environ())
	if runtime.GOOS != "windows" {
		return fmt.Errorf("run %s: %w", bin, err)
	}
	cmd := exec.Command(bin, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) {
		os.Exit(cmd.ProcessState.ExitCode())
	}
	return err
}

// build builds a program, and shows progress if that lasts longer than quiet.
type build struct {
	dir          string // of the source; empty for the current one
	program, bin string
	out          io.Writer
	quiet, every time.Duration
	// count returns the number of packages that the program consists of, 0 if Go can't list them.
	// It may last: Go fetches the modules first.
	count func(ctx context.Context, dir, program string) int
}

func (b build) run() error {
	began := time.Now()
	// Without debug information linking takes two thirds of the time.
	cmd := exec.Command("go", "build", "-v", "-ldflags=-w", "-o", b.bin, b.program)
	cmd.Dir = b.dir
	var heard listener
	cmd.Stdout, cmd.Stderr = &heard, &heard
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start Go: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	counted := make(chan int, 1)
	said := false
	for wait := time.After(b.quiet); ; wait = time.After(b.every) {
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("build the development server: %w\n%s", err, heard.rest())
			}
			if said {
				fmt.Fprintf(b.out, "Built in %s. The next start takes seconds.\n\n", time.Since(began).Round(time.Second))
			}
			return nil
		case n := <-counted:
			if n > 0 {
				fmt.Fprintf(b.out, "  There are %d packages; Go compiles those that it has not compiled before.\n", n)
			}
			continue
		case <-wait:
		}
		if !said {
			said = true
			fmt.Fprintln(b.out, "Building Temporal's server, its UI and the worker: minutes the first time, seconds later.")
			go func() { counted <- b.count(ctx, b.dir, b.program) }()
		}
		fmt.Fprintf(b.out, "  %s: %s\n", time.Since(began).Round(time.Second), heard.progress())
	}
}

// packages returns the number of packages of a program, as Go lists them.
func packages(ctx context.Context, dir, program string) int {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", program)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return 0
	}
	return strings.Count(string(out), "\n")
}
