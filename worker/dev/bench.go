package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/bench"
)

func benchCommand() *cobra.Command {
	var o bench.Options
	var page string
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the program against floors of the same machine",
		Long: `Measure the program as a whole, real processes against a sandbox with Iterable's
limits, and print each figure beside a floor that was measured in the same run. With
a million rows it takes about half an hour, most of it at Iterable's pace; leave the
machine alone meanwhile. The table and bench.json are kept in the folder of --out.

Scenarios: ` + bench.Scenarios() + `.`,
		Example: `  go run ./worker/dev bench
  go run ./worker/dev bench --rows 100000 --only staging,unthrottled
  go run ./worker/dev bench --page docs/performance.md`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Rows < 1000 {
				return usageError{errors.New("--rows: 1000 or more")}
			}
			if o.Out, err = filepath.Abs(o.Out); err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			o.Sandbox, o.Progress = []string{self, "sandbox"}, c.ErrOrStderr()
			report, failed := bench.Run(c.Context(), o)
			if len(report.Figures) == 0 {
				return failed
			}
			report.Table(c.OutOrStdout())
			fmt.Fprintf(c.OutOrStdout(), "\nKept in %s\n", filepath.Join(o.Out, bench.File))
			if page != "" {
				failed = errors.Join(failed, report.RewriteMarkdown(page))
			}
			return failed
		},
	}
	f := c.Flags()
	f.Int64Var(&o.Rows, "rows", 1_000_000, "profiles of the large segments")
	f.StringVar(&o.Out, "out", ".data/bench", "folder for the figures and for everything that is made for them")
	f.StringSliceVar(&o.Only, "only", nil, "scenarios to run; default all")
	f.StringVar(&page, "page", "", "page to write the figures into, such as docs/performance.md")
	return c
}
