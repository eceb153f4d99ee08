package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
)

func (a *app) recordCommand() *cobra.Command {
	var segment, out string
	c := a.onRun(&cobra.Command{
		Use:   "record RUN",
		Short: "Save what became of each row of a run, as a Parquet file",
		Long: `Save what became of each row of a run, as a Parquet file: added, updated, removed,
suppressed, duplicate, rejected, refused and so on, with the reason and the request. The
setting record of an export says which rows it has. Only people who may use the run's
connection see it: it contains profiles' data.`,
		Example: `  starter record "High-value customers"
  starter record "Spring campaign" --segment "High-value customers" --out rows.parquet`,
	}, func(c *cobra.Command, o gateway.Service, run operate.Run) error {
		if out == "-" {
			if err := notForTerminal(c.OutOrStdout()); err != nil {
				return err
			}
			return o.Record(c.Context(), run, segment, console.Unfiltered(c.OutOrStdout()))
		}
		name := out
		if name == "" {
			name = fileName(".parquet", run.Export, segment, run.RunID)
			if _, err := os.Lstat(name); err == nil {
				return fmt.Errorf("there is already a file %s; delete it, or name another one with --out", name)
			}
		}
		if err := saveRecord(name, func(w io.Writer) error { return o.Record(c.Context(), run, segment, w) }); err != nil {
			return err
		}
		if a.structured() {
			return a.encode(c.OutOrStdout(), recordOutput{name})
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), name)
		return err
	})
	p := c.Flags()
	p.StringVar(&segment, "segment", "", "the segment; needed if the run has several")
	p.StringVar(&out, "out", "", `file to save it in, or "-" for the standard output; default EXPORT-[SEGMENT-]RUN.parquet in this folder`)
	return c
}

// fileName returns the name of a file about a run: the parts that are not empty, with letters,
// digits and single hyphens only.
func fileName(extension string, parts ...string) string {
	const most = 60 // bytes of a part: file systems allow 255 for the whole
	var names []string
	for _, part := range parts {
		words := strings.FieldsFunc(part, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) })
		name := strings.Join(words, "-")
		for len(name) > most {
			_, last := utf8.DecodeLastRuneInString(name)
			name = name[:len(name)-last]
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, "-") + extension
}

// notForTerminal refuses a terminal: the values in a Parquet file would control it.
func notForTerminal(w io.Writer) error {
	if !console.IsTerminal(w) {
		return nil
	}
	return usageError{errors.New("a Parquet file can't be shown on a terminal; redirect the standard output, or name a file with --out")}
}

// saveRecord writes a file that only its owner can read, and leaves no part of one.
func saveRecord(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".part-*") // with mode 0600, and nobody's before
	if err != nil {
		return fmt.Errorf("save the record of rows: %w", err)
	}
	part := f.Name()
	defer os.Remove(part)
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err = f.Close(); err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		return fmt.Errorf("save the record of rows: %w", err)
	}
	return nil
}
