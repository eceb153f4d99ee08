package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	var o Options
	var page string
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the program against floors of the same machine",
		Long: `Measure the program as a whole, real processes against a sandbox with Iterable's
limits, and print each figure beside a floor that was measured in the same run. With
a million rows it takes about half an hour, most of it at Iterable's pace; leave the
machine alone meanwhile. The table and bench.json are kept in the folder of --out.

Scenarios: ` + Scenarios() + `.`,
		Example: `  go run ./internal/bench
  go run ./internal/bench --rows 100000 --only staging,unthrottled
  go run ./internal/bench --page docs/performance.md`,
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(c *cobra.Command, _ []string) error {
			return measure(c.Context(), o, page, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.Int64Var(&o.Rows, "rows", 1_000_000, "profiles of the large segments, 1,000 or more")
	f.StringVar(&o.Out, "out", ".data/bench", "folder for the figures and for everything that is made for them")
	f.StringSliceVar(&o.Only, "only", nil, "scenarios to run; default all")
	f.StringVar(&page, "page", "", "page to write the figures into, such as docs/performance.md")
	c.AddCommand(sandboxCommand())
	return c
}

// measure runs the scenarios, prints the table, and writes it into the page.
func measure(ctx context.Context, o Options, page string, out, errOut io.Writer) error {
	if o.Rows < 1000 {
		return errors.New("--rows: 1000 or more")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if o.Out, err = filepath.Abs(o.Out); err != nil {
		return err
	}
	o.Sandbox, o.Progress = []string{self, asSandbox}, errOut
	report, failed := Run(ctx, o)
	if len(report.Figures) == 0 {
		return failed
	}
	report.Table(out)
	fmt.Fprintf(out, "\nKept in %s\n", filepath.Join(o.Out, File))
	if page != "" {
		failed = errors.Join(failed, report.RewriteMarkdown(page))
	}
	return failed
}

// asSandbox makes the program be the sandbox that the scenarios start.
const asSandbox = "sandbox"

func sandboxCommand() *cobra.Command {
	var addr string
	o := sandbox.Config{Fast: true}
	c := &cobra.Command{
		Use: asSandbox, Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Rate == 0 {
				o.Rate = -1 // no limit
			}
			s, err := sandbox.Open(o)
			if err != nil {
				return err
			}
			return errors.Join(s.ListenAndServe(c.Context(), addr), s.Close())
		},
	}
	c.Flags().StringVar(&addr, "addr", "", "address to answer at")
	c.Flags().Float64Var(&o.Rate, "rate", 0, "requests a second; 0 for no limit")
	c.Flags().DurationVar(&o.Latency, "latency", 0, "how long each answer is held back")
	c.Flags().IntVar(&o.MaxSubscribers, "rows", 0, "profiles in a request; 0 for any number")
	c.Flags().DurationVar(&o.PerProfile, "per-profile", 0, "how much longer each answer is held back for each profile")
	c.Flags().StringVar(&o.DataDir, "data", "", "folder to keep lists in")
	return c
}
