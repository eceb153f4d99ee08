package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/schemas"
)

func (a *app) checkCommand() *cobra.Command {
	var f runFlags
	var file string
	var show bool
	c := &cobra.Command{
		Use:   "check [EXPORT]",
		Short: "Show what a run would do, and send nothing",
		Long: `Show what a run would do, and send nothing. No list is created or changed, and the next
run is not affected. EXPORT is the name of an applied export or, with --file, of an export
in a file. Without EXPORT, the flags define an export of one segment, as for starter run.

People who may use the connection see examples. Exit status: 0 if a run would succeed, 3 if
it would wait for an operator, 1 if it would fail: no consent, no such file or column.`,
		Example: `  starter check "Spring campaign"
  starter check "Spring campaign" --file exports.yaml
  starter check --segment "High-value customers" --source segments/high-value \
      --email EmailAddress --connection marketing`,
		Args: atMostOne("EXPORT"),
		RunE: func(c *cobra.Command, args []string) error {
			start, err := toCheck(c, args, f, file)
			if err != nil {
				return err
			}
			return a.check(c, start, show)
		},
	}
	f.defineFlags(c)
	c.Flags().StringVar(&file, "file", "", "file with the export, instead of the applied one")
	c.Flags().BoolVar(&show, "show-addresses", false, "show the examples' addresses and user IDs in full")
	return c
}

// toCheck returns the export to check: an applied one, one of a file, or one that flags
// define.
func toCheck(c *cobra.Command, args []string, f runFlags, file string) (gateway.StartRequest, error) {
	in := gateway.StartRequest{Full: f.full, Check: true}
	if len(args) == 0 && file != "" {
		return in, usageError{fmt.Errorf("name the export of %s to check: starter check EXPORT --file %s", file, file)}
	}
	if len(args) == 0 {
		e, err := f.define()
		if err != nil {
			return in, usageError{err}
		}
		in.Definition = &e
		return in, nil
	}
	if err := f.refuseDefinition(c, false); err != nil {
		return in, err
	}
	if file == "" {
		in.Export = args[0]
		return in, nil
	}
	all, err := config.LoadExports(file)
	if err != nil {
		return in, err
	}
	var names []string
	for i, e := range all.Exports {
		if e.Name == args[0] {
			in.Definition = &all.Exports[i]
			return in, nil
		}
		names = append(names, e.Name)
	}
	return in, fmt.Errorf("%s has no export %q%s", file, args[0], spelling.Guess(args[0], names))
}

// check starts a check, follows it, and prints the result. Ctrl-C stops a check that this
// command started.
func (a *app) check(c *cobra.Command, start gateway.StartRequest, show bool) error {
	o, done, err := a.service(c.Context())
	if err != nil {
		return err
	}
	defer done()
	started, err := o.Start(c.Context(), start)
	if err != nil {
		return err
	}
	run, joined := started.Run, started.Joined
	if joined {
		fmt.Fprintf(c.ErrOrStderr(), "A check of %q is already under way; this joins it.\n", run.Export)
	}
	progress := console.NewProgress(c.ErrOrStderr())
	v, err := o.Watch(c.Context(), run, true, progress.See)
	progress.Close()
	if errors.Is(err, context.Canceled) && joined {
		fmt.Fprintln(c.ErrOrStderr(), "No longer following; the check goes on.")
		return nil
	}
	if errors.Is(err, context.Canceled) {
		stop, end := context.WithTimeout(context.WithoutCancel(c.Context()), 10*time.Second)
		defer end()
		fmt.Fprintln(c.ErrOrStderr(), "Stopping the check.")
		return o.Cancel(stop, run)
	}
	if err != nil {
		return err
	}
	return a.showCheck(c, o, v, show)
}

// checkedSegment is the result of checking one segment, with examples.
type checkedSegment struct {
	schemas.ExportReport
	Examples *schemas.Examples `json:"examples,omitempty"`
}

// showCheck prints the result of a check and returns the exit status for it.
func (a *app) showCheck(c *cobra.Command, o gateway.Service, v operate.View, show bool) error {
	segments := make([]checkedSegment, len(v.Segments))
	found, err := o.Examples(c.Context(), v.Run)
	code := exit(v)
	for i, s := range v.Segments {
		segments[i].ExportReport = s.Report
		r := s.Report.Check
		if r == nil {
			continue
		}
		if len(r.Guardrails)+len(r.Clashes) > 0 && code == nil {
			code = status(exitWaiting)
		}
		examples, kept := found[s.Report.Segment]
		if !kept {
			why := "they were deleted, or this is not the data root of the workers"
			if err != nil {
				why = err.Error()
			}
			fmt.Fprintf(c.ErrOrStderr(), "starter: no examples of %q: %s\n", s.Report.Segment, why)
			continue
		}
		if !show {
			mask(&examples)
		}
		segments[i].Examples = &examples
	}
	w := c.OutOrStdout()
	if a.structured() {
		if err := a.encode(w, checkOutput{v.Run, v.State, v.Error, segments}); err != nil {
			return err
		}
		return code
	}
	for _, s := range segments {
		showSegment(w, s)
	}
	if v.Error != "" {
		fmt.Fprintln(w, v.Error)
	}
	return code
}

func mask(e *schemas.Examples) {
	for _, examples := range [][]schemas.Example{e.Adds, e.Updates, e.Removals, e.Rejects} {
		for i := range examples {
			x := &examples[i]
			x.Email, x.UserID, x.Value = console.Masked(x.Email), console.Masked(x.UserID), console.Masked(x.Value)
		}
	}
}

// showDivided prints how a segment's rows are divided among its lists.
func showDivided(w io.Writer, s checkedSegment) {
	d := s.Divided
	fmt.Fprintf(w, "%q has %s:\n\n", s.Segment, console.Things(len(d.Lists), "list"))
	var rows [][]string
	add := func(what string, n int64) { rows = append(rows, []string{what, humanize.Comma(n)}) }
	for _, list := range d.Lists {
		what := fmt.Sprintf("%q", list.List)
		if list.Vanished {
			what += ", which no row is for any more"
		}
		if list.Kept {
			what += ", which no row is for any more, stays but for suppressed members"
		}
		add(what, list.Rows)
	}
	for _, list := range d.Kept {
		add(fmt.Sprintf("%q, which no row is for any more, stays as it is", list), 0)
	}
	if d.MoreKept > 0 {
		add(fmt.Sprintf("and %s that stay as they are", console.Things(d.MoreKept, "list")), 0)
	}
	if s.Manifest.Filtered > 0 {
		add("filtered", s.Manifest.Filtered)
	}
	if d.WithoutValue > 0 {
		add("without a value: on no list", d.WithoutValue)
	}
	if d.HeldOut > 0 {
		add("held out", d.HeldOut)
	}
	add("rows read", s.Manifest.Read)
	console.Table(w, []string{"", "rows"}, rows, "rows")
	for _, warning := range s.Warnings {
		fmt.Fprintf(w, "Warning: %s\n", warning)
	}
	fmt.Fprintln(w)
}

// showSegment prints what a run would do with one segment.
func showSegment(w io.Writer, s checkedSegment) {
	m, r := s.Manifest, s.Check
	if s.Divided != nil {
		showDivided(w, s)
		return
	}
	if r == nil {
		fmt.Fprintf(w, "%q could not be checked: %s\n\n", s.Segment, s.Error)
		return
	}
	list := fmt.Sprintf("to list %d", s.ListID)
	if r.NoList {
		list = "to a new list"
	}
	fmt.Fprintf(w, "%q, %s: what a run would do\n\n", s.Segment, list)
	var rows [][]string
	add := func(what string, n int64) { rows = append(rows, []string{what, humanize.Comma(n)}) }
	if t := s.Info.Table; t != nil {
		add("version of the "+t.Format+" table", t.Version)
	}
	add("rows read", m.Read)
	if m.Filtered > 0 {
		add("filtered", m.Filtered)
	}
	if k := m.Skipped; k != nil {
		add("filtered without reading", k.Rows)
	}
	add("add", m.Adds)
	add("update", m.Updates)
	add("remove", m.Removals)
	add("leave unchanged", m.Unchanged)
	add("duplicates", m.Duplicates)
	if m.Suppressed > 0 {
		add("leave out: suppressed", m.Suppressed)
	}
	if m.SuppressedRemovals > 0 {
		add("remove: suppressed, of those above", m.SuppressedRemovals)
	}
	for _, reason := range slices.Sorted(maps.Keys(m.Rejected)) {
		add("reject: "+string(reason), m.Rejected[reason])
	}
	for _, l := range m.LeftOut {
		add(fmt.Sprintf("left out of %s: %s", l.Column, l.Reason), l.Count)
	}
	add("requests", r.Requests)
	rows = append(rows, []string{"time to send", time.Duration(r.Estimate).String()})
	console.Table(w, []string{"", "profiles"}, rows, "profiles")
	fmt.Fprintln(w)
	if r.Unready != "" {
		fmt.Fprintf(w, "A run would wait for its data: %s\n", r.Unready)
	}
	for _, g := range r.Guardrails {
		fmt.Fprintf(w, "A run would wait for starter approve: %s\n", g)
	}
	for _, c := range r.Clashes {
		fmt.Fprintf(w, "A run would wait for a correction: %s\n", c)
	}
	if len(r.NewFields) > 0 {
		fmt.Fprintf(w, "A run would create %s in Iterable, where a field can't be removed. A scheduled run follows newFields.\n", schemas.FieldNames(r.NewFields))
	}
	if r.SentAgain != "" {
		fmt.Fprintf(w, "A run would send all profiles again: %s. A scheduled run follows fullRuns.\n", r.SentAgain)
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(w, "Warning: %s\n", warning)
	}
	if s.Examples != nil {
		showExamples(w, s.Examples)
	}
}

func showExamples(w io.Writer, e *schemas.Examples) {
	var rows [][]string
	for _, kind := range []struct {
		what     string
		examples []schemas.Example
	}{{"add", e.Adds}, {"update", e.Updates}, {"remove", e.Removals}, {"reject", e.Rejects}} {
		for _, x := range kind.examples {
			who, why := strings.Trim(x.Email+" "+x.UserID, " "), ""
			if kind.what == "reject" {
				who = x.Value
				why = fmt.Sprintf("%s: %s (%s, row %d)", x.Reason, x.Reason.Sentence(), x.File, x.Row)
			}
			rows = append(rows, []string{kind.what, console.Printable(who), why})
		}
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		console.Table(w, []string{"example", "who", "why"}, rows)
	}
	fmt.Fprintln(w)
}
