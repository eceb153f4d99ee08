package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

type rejectsFlags struct {
	segment, reason, format string
	limit                   int
}

func (a *app) rejectsCommand() *cobra.Command {
	var f rejectsFlags
	c := &cobra.Command{
		Use:   "rejects RUN",
		Short: "Show the rows that a run did not send, and why",
		Long: `Show the rows that a run did not send, and why, in the order of the source. They
are read from the data root with your own rights; they are people's data.`,
		Example: `  starter rejects "High-value customers"
  starter rejects "Spring campaign" --reason syntax --format csv > rejects.csv`,
		Args: exactly(1, "one RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			if f.format == "" {
				f.format = a.output
			}
			show, err := showAs(f.format)
			if err != nil {
				return usageError{err}
			}
			return a.found(c, args[0], func(o *operate.Operator, run operate.Run) error {
				v, err := o.Look(c.Context(), run)
				if err != nil {
					return err
				}
				rows, err := a.rejected(c.Context(), v, f)
				if err != nil {
					return err
				}
				return show(c.OutOrStdout(), rows)
			})
		},
	}
	p := c.Flags()
	p.StringVar(&f.segment, "segment", "", "only of this segment")
	p.StringVar(&f.reason, "reason", "", "only with this reason, such as syntax")
	p.StringVar(&f.format, "format", "", "table, csv or json; default what --output says")
	p.IntVar(&f.limit, "limit", 0, "at most so many rows; 0 for all")
	return c
}

// rejectedRow is one row of the output.
type rejectedRow struct {
	Segment string         `json:"segment"`
	File    string         `json:"file"`
	Row     int64          `json:"row"`
	Column  string         `json:"column"`
	Value   *string        `json:"value"`
	Reason  schemas.Reason `json:"reason"`
	Message string         `json:"message"`
}

// rows is a stream of rows: each calls its argument with one after the other.
type rows func(yield func(rejectedRow) error) error

// rejected finds the rejects of a run's segments.
func (a *app) rejected(ctx context.Context, v operate.View, f rejectsFlags) (rows, error) {
	if err := knownReason(f.reason); err != nil {
		return nil, usageError{err}
	}
	root, err := a.openRoot(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range v.Segments {
		names = append(names, s.Run.Segment)
	}
	if f.segment != "" && !slices.Contains(names, f.segment) {
		return nil, usageError{fmt.Errorf("the run has no segment %q%s", f.segment, spelling.Guess(f.segment, names))}
	}
	return func(yield func(rejectedRow) error) error {
		defer root.Close()
		left := f.limit
		for _, s := range v.Segments {
			if f.segment != "" && s.Run.Segment != f.segment {
				continue
			}
			if err := a.rejectsOf(ctx, root, s, f, &left, yield); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// rejectsOf reads the rejects of one segment, where it has any.
func (a *app) rejectsOf(ctx context.Context, root *storage.Root, s operate.SegmentView, f rejectsFlags, left *int, yield func(rejectedRow) error) error {
	file, err := openRejects(ctx, root, s.Run)
	has := s.Report.Rejects != "" || s.Report.Manifest.Rejects != ""
	switch {
	case errors.Is(err, fs.ErrNotExist) && has:
		return fmt.Errorf("the rejects of «%s» are not in %s any more, where they are deleted after the retention time that connections.yaml sets; or the worker's data root is another one: say where it is with --data-root or DATA_ROOT",
			s.Run.Segment, root.URL())
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	if err == nil {
		defer file.Close()
		err = readRejects(file, s.Run.Segment, schemas.Reason(f.reason), left, f.limit > 0, yield)
	}
	if err != nil {
		return fmt.Errorf("read the rejects of «%s»: %w", s.Run.Segment, err)
	}
	return nil
}

// knownReason refuses a reason that no row is rejected for.
func knownReason(reason string) error {
	if reason == "" || slices.Contains(schemas.Reasons(), schemas.Reason(reason)) {
		return nil
	}
	var all []string
	for _, r := range schemas.Reasons() {
		all = append(all, string(r))
	}
	return fmt.Errorf("--reason %q: there is no such reason%s", reason, spelling.DidYouMean(reason, all))
}

// openRejects opens the rejects of one segment: those of the report, or, while the run
// goes on, those that staging has found so far. The error is fs.ErrNotExist where there
// are none.
func openRejects(ctx context.Context, root *storage.Root, run schemas.RunRef) (file storage.File, err error) {
	for _, dir := range []string{schemas.ReportDir(run), schemas.StagingDir(run)} {
		if file, err = root.Open(ctx, path.Join(dir, schemas.RejectsFile)); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return file, err
}

// readRejects reads the rejects of one segment, left of them at the most where limited.
func readRejects(file storage.File, segment string, reason schemas.Reason, left *int, limited bool, yield func(rejectedRow) error) error {
	r, err := rejects.Open(file, file.Size())
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		row, ok := r.Next()
		if !ok || limited && *left == 0 {
			return r.Err()
		}
		if reason != "" && row.Reason != reason {
			continue
		}
		*left--
		out := rejectedRow{Segment: segment, File: row.File, Row: row.Row, Column: row.Column, Reason: row.Reason, Message: row.Reason.Sentence()}
		if row.Value != nil {
			value := string(row.Value)
			out.Value = &value
		}
		if err := yield(out); err != nil {
			return err
		}
	}
}

// showAs gives the function that prints rows in a format.
func showAs(format string) (func(io.Writer, rows) error, error) {
	switch format {
	case "table":
		return showTable, nil
	case "csv":
		return showCSV, nil
	case "json":
		return showJSON, nil
	}
	return nil, fmt.Errorf("--format %q: use table, csv or json", format)
}

var rejectColumns = []string{"segment", "file", "row", "column", "value", "reason", "message"}

func (r rejectedRow) cells() []string {
	value := ""
	if r.Value != nil {
		value = *r.Value
	}
	return []string{r.Segment, r.File, strconv.FormatInt(r.Row, 10), r.Column, value, string(r.Reason), r.Message}
}

// csv are the cells of a CSV file, which spreadsheets open.
func (r rejectedRow) csv() []string {
	cells := r.cells()
	for i := range cells {
		cells[i] = console.Cell(cells[i])
	}
	return cells
}

// tableRows is how many rows a table shows at most; it has to be laid out as a
// whole before it is printed.
const tableRows = 1000

func showTable(w io.Writer, all rows) error {
	var table [][]string
	more := 0
	err := all(func(r rejectedRow) error {
		if len(table) == tableRows {
			more++
			return nil
		}
		cells := r.cells()
		for i := range cells {
			cells[i] = console.Printable(cells[i])
		}
		table = append(table, cells)
		return nil
	})
	if err != nil {
		return err
	}
	if len(table) == 0 {
		fmt.Fprintln(w, "No row was rejected.")
		return nil
	}
	console.Table(w, rejectColumns, table, "row")
	if more > 0 {
		fmt.Fprintf(w, "… and %s more; --format csv or json shows all\n", console.Count(int64(more)))
	}
	return nil
}

func showCSV(w io.Writer, all rows) error {
	out := csv.NewWriter(w)
	if err := out.Write(rejectColumns); err != nil {
		return err
	}
	if err := all(func(r rejectedRow) error { return out.Write(r.csv()) }); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// showJSON prints one object a line.
func showJSON(w io.Writer, all rows) error {
	return all(func(r rejectedRow) error { return console.JSONLine(w, r) })
}
