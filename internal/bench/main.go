// Command bench measures what a user feels: a first export at Iterable's limits,
// finding limits that are not told, refreshes, staging, choosing rows, memory and startup. Worker
// processes run against an embedded Temporal and the sandbox, which this process
// serves. A figure stands beside a floor that was measured or calculated in the same
// run, because a time alone says little about another machine.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/devstack"
)

// scenarios are run in this order: those that need a quiet machine first.
var scenarios = []struct {
	name    string
	measure func(*bench, context.Context) error
}{
	{"staging", (*bench).staging},
	{"chosen", (*bench).chosen},
	{"memory", (*bench).memory},
	{"large", (*bench).large},
	{"first", (*bench).first},
	{"small", (*bench).small},
	{"limits", (*bench).limits},
}

func names() (all []string) {
	for _, s := range scenarios {
		all = append(all, s.name)
	}
	return all
}

// figure is one row of the table.
type figure struct {
	What     string  `json:"what"`
	Measured float64 `json:"measured"` // in Unit, as Floor
	Unit     string  `json:"unit"`
	Floor    float64 `json:"floor,omitempty"`
	FloorOf  string  `json:"floorOf,omitempty"`
	// Machine is what the same work takes without the floor's limits, in Unit; 0 if that was
	// not measured.
	Machine float64 `json:"machine,omitempty"`
	Note    string  `json:"note,omitempty"`
}

func (f figure) cells() []string {
	floor, machine, ratio := "", "", ""
	if f.Floor > 0 {
		floor, ratio = fmt.Sprintf("%.3g %s (%s)", f.Floor, f.Unit, f.FloorOf), fmt.Sprintf("%.2f", f.Measured/max(f.Floor, f.Machine))
	}
	if f.Machine > 0 {
		machine = fmt.Sprintf("%.3g %s", f.Machine, f.Unit)
	}
	return []string{f.What, fmt.Sprintf("%.3g %s", f.Measured, f.Unit), floor, machine, ratio, f.Note}
}

// bench is what the scenarios share.
type bench struct {
	rows    int64
	rounds  int           // of runs that are compared
	longest time.Duration // of the work at hidden limits
	newList time.Duration // as the sandbox's setting; 0 is its default of up to 10 s
	out     string        // folder of everything that is made
	worker  string        // the built program
	stack   *devstack.Stack
	figures []figure
	opened  int // projects
}

func (b *bench) add(f figure) {
	b.figures = append(b.figures, f)
	fmt.Fprintln(os.Stderr, strings.Join(f.cells(), "  "))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	var b bench
	var only []string
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure whole runs with real worker processes",
		Long: `Measure whole runs: worker processes, an embedded Temporal, and a sandbox with limits.
Leave the machine alone meanwhile. The figures are printed and kept in bench.json.

Scenarios: ` + strings.Join(names(), ", ") + `.`,
		Example: `  go run ./internal/bench
  go run ./internal/bench --only staging,large`,
		Args: cobra.NoArgs, SilenceErrors: true, SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := b.run(c.Context(), only); err != nil {
				return err
			}
			console.Table(c.OutOrStdout(), []string{"what", "measured", "floor", "machine alone", "ratio", "note"}, b.rowsOfTable(), "measured", "ratio")
			return nil
		},
	}
	c.Flags().Int64Var(&b.rows, "rows", 1_000_000, "profiles of a segment")
	c.Flags().IntVar(&b.rounds, "rounds", 3, "how often runs that are compared are made")
	c.Flags().DurationVar(&b.longest, "longest", time.Minute, "hidden limits at which the work takes longer are left out")
	c.Flags().StringVar(&b.out, "out", ".data/bench", "folder for segments, logs and bench.json")
	c.Flags().StringSliceVar(&only, "only", nil, "scenarios to run (default all)")
	return c
}

func (b *bench) rowsOfTable() (rows [][]string) {
	for _, f := range b.figures {
		rows = append(rows, f.cells())
	}
	return rows
}

// run measures the scenarios and keeps the figures. What was measured before an error
// is kept too.
func (b *bench) run(ctx context.Context, only []string) (err error) {
	for _, name := range only {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("unknown scenario %q: choose from %s", name, strings.Join(names(), ", "))
		}
	}
	if b.rounds < 1 {
		return fmt.Errorf("invalid number of rounds %d: choose at least 1", b.rounds)
	}
	if b.out, err = filepath.Abs(b.out); err != nil {
		return err
	}
	if err := os.MkdirAll(b.out, 0o700); err != nil {
		return err
	}
	b.worker = filepath.Join(b.out, "worker")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.worker, "iterable-segment-export/worker").CombinedOutput(); err != nil {
		return fmt.Errorf("build the worker: %w\n%s", err, out)
	}
	if b.stack, err = devstack.Start(ctx, devstack.Options{FrontendAddr: "127.0.0.1:0"}); err != nil {
		return err
	}
	defer func() { _ = b.stack.Stop() }()
	before := load()
	var failed []error
	for _, s := range scenarios {
		if ctx.Err() != nil || len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		if err := s.measure(b, ctx); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	data, err := json.MarshalIndent(map[string]any{
		"at": time.Now().UTC(), "rows": b.rows, "cores": runtime.NumCPU(), "go": runtime.Version(), "os": runtime.GOOS + "/" + runtime.GOARCH,
		"loadBefore": before, "loadAfter": load(), "figures": b.figures,
	}, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(b.out, "bench.json"), append(data, '\n'), 0o600)
	}
	return errors.Join(append(failed, ctx.Err(), err)...)
}

// load returns the system's load averages, empty where it has none: on a machine that
// others keep busy, times mean little.
func load() string {
	data, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(data))
	return strings.Join(fields[:min(3, len(fields))], " ")
}
