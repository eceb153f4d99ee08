package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"iterable-segment-export/internal/generate"
)

func generateCommand() *cobra.Command {
	o := generate.Options{}
	c := &cobra.Command{
		Use:   "generate",
		Short: "Write a realistic segment, bad rows included",
		Example: `  go run ./worker/dev generate --rows 1000000 --out segment
  go run ./worker/dev generate --rows 50000 --out segment --format arrow --files 4 --bad 0.1`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Out == "" {
				return usageError{errors.New("generate needs --out, the folder to write to")}
			}
			expected, err := generate.Segment(c.Context(), o)
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			fmt.Fprintf(w, "%s rows, %s valid, %s duplicates\n", humanize.Comma(expected.Rows), humanize.Comma(expected.Valid), humanize.Comma(expected.Duplicates))
			for _, reason := range slices.Sorted(maps.Keys(expected.Rejected)) {
				fmt.Fprintf(w, "  %-20s %s\n", reason, humanize.Comma(expected.Rejected[reason]))
			}
			fmt.Fprintf(w, "SHA-256 of the list to expect: %s\n", expected.Digest)
			return nil
		},
	}
	f := c.Flags()
	f.Int64Var(&o.Rows, "rows", 1_000_000, "rows to write")
	f.StringVar(&o.Out, "out", "", "folder to write to")
	f.StringVar(&o.Format, "format", "parquet", "parquet or arrow")
	f.IntVar(&o.Files, "files", 1, "files to spread the rows over")
	f.Float64Var(&o.Bad, "bad", 0.02, "share of rows that can't be mailed")
	f.Int64Var(&o.Seed, "seed", 1, "rows with the same seed are the same")
	return c
}
