package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

type rejectsFlags struct {
	segment, reason, format string
	limit                   int
}

func (a *app) rejectsCommand() *cobra.Command {
	var f rejectsFlags
	c := a.onRun(&cobra.Command{
		Use:   "rejects RUN",
		Short: "Show the rows that a run did not send, and why",
		Long: `Show the rows that a run did not send, and why, in the order of the source. They contain
profiles' data, so only people who may use the run's connection see them. JSON has one
object per line, YAML one document per row.`,
		Example: `  starter rejects "High-value customers"
  starter rejects "Spring campaign" --reason syntax --format csv > rejects.csv`,
		PreRunE: func(*cobra.Command, []string) error {
			if f.format == "" {
				f.format = a.output
			}
			if formats[f.format] == nil {
				return usageError{fmt.Errorf("--format %q: use table, csv, json or yaml", f.format)}
			}
			return nil
		},
	}, func(c *cobra.Command, o gateway.Service, run operate.Run) error {
		found := false
		err := formats[f.format](c.OutOrStdout(), func(yield func(gateway.Reject) error) error {
			return o.Rejects(c.Context(), run, gateway.RejectsRequest{Segment: f.segment, Reason: f.reason, Limit: f.limit}, func(r gateway.Reject) error {
				found = true
				return yield(r)
			})
		})
		if err != nil || found || f.format != "table" {
			return err
		}
		v, err := o.Look(c.Context(), run)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), noRejects(v))
		return nil
	})
	p := c.Flags()
	p.StringVar(&f.segment, "segment", "", "only rows of this segment")
	p.StringVar(&f.reason, "reason", "", "only rows with this reason, such as syntax")
	p.StringVar(&f.format, "format", "", "table, csv, json or yaml; default that of --output")
	p.IntVar(&f.limit, "limit", 0, "at most this many rows; 0 for all")
	return c
}

// noRejects says why a run has no rejects.
func noRejects(v operate.View) string {
	read := slices.ContainsFunc(v.Segments, func(s operate.SegmentView) bool { return s.Report.Manifest.Read > 0 })
	switch {
	case !v.Ended():
		return fmt.Sprintf("No row was rejected so far; the run has not ended: starter status %s", schemas.ShellWord(v.Run.Export))
	case !read && v.State != schemas.StateDone:
		return "No row was rejected: the run ended before it had read the segment."
	}
	return "No row was rejected."
}

// rows calls yield with one row after the other.
type rows func(yield func(gateway.Reject) error) error

// formats are the functions that print rows, by the value of --format.
var formats = map[string]func(io.Writer, rows) error{"table": showTable, "csv": showCSV, "json": showJSON, "yaml": showYAML}

var rejectColumns = []string{"segment", "file", "row", "column", "value", "reason", "message"}

func cells(r gateway.Reject) []string {
	value := ""
	if r.Value != nil {
		value = *r.Value
	}
	return []string{r.Segment, r.File, strconv.FormatInt(r.Row, 10), r.Column, value, string(r.Reason), r.Message}
}

// csvCells returns cells that are safe to open in a spreadsheet.
func csvCells(r gateway.Reject) []string {
	out := cells(r)
	for i := range out {
		out[i] = console.Cell(out[i])
	}
	return out
}

// tableRows is the most rows of a table, which is laid out in memory.
const tableRows = 1000

func showTable(w io.Writer, all rows) error {
	var table [][]string
	more := 0
	err := all(func(r gateway.Reject) error {
		if len(table) == tableRows {
			more++
			return nil
		}
		row := cells(r)
		for i := range row {
			row[i] = console.Printable(row[i])
		}
		table = append(table, row)
		return nil
	})
	if err != nil {
		return err
	}
	if len(table) == 0 {
		return nil
	}
	console.Table(w, rejectColumns, table, "row")
	if more > 0 {
		fmt.Fprintf(w, "… and %s more; --format csv, json or yaml shows all\n", humanize.Comma(int64(more)))
	}
	return nil
}

func showCSV(w io.Writer, all rows) error {
	out := csv.NewWriter(w)
	if err := out.Write(rejectColumns); err != nil {
		return err
	}
	if err := all(func(r gateway.Reject) error { return out.Write(csvCells(r)) }); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// showJSON prints one object per line.
func showJSON(w io.Writer, all rows) error {
	return all(func(r gateway.Reject) error { return console.JSONLine(w, r) })
}

// showYAML prints one document per row.
func showYAML(w io.Writer, all rows) error {
	return all(func(r gateway.Reject) error { return console.YAMLDocument(w, r) })
}
