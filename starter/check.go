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
		Long: `Show what a run would do, and send nothing: no list is made, nobody is added or
removed, and the next run is not affected. EXPORT is the name of an export that was
applied or, with --file, of one that a file describes and nobody needs to have
applied; with the flags of starter run instead, an export of one segment is checked.

Who may use the connection sees examples. Exit status 0 says
that a run would go through, 3 that it would stop to ask an operator, with the numbers,
and 1 that it would come to nothing as things are: no consent, no such file or column.`,
		Example: `  starter check "Spring campaign"
  starter check "Spring campaign" --file exports.yaml
  starter check --segment "High-value customers" --source segments/high-value \
      --email EmailAddress --connection marketing`,
		Args: atMostOne("EXPORT"),
		RunE: func(c *cobra.Command, args []string) error {
			start, err := checked(c, args, f, file)
			if err != nil {
				return err
			}
			return a.check(c, start, show)
		},
	}
	f.defineFlags(c)
	c.Flags().StringVar(&file, "file", "", "file that describes the export, instead of what was applied")
	c.Flags().BoolVar(&show, "show-addresses", false, "show the examples' addresses and user ids in full")
	return c
}

// checked chooses the export to check: one that was applied, one of a file, or one
// that flags describe.
func checked(c *cobra.Command, args []string, f runFlags, file string) (gateway.StartRequest, error) {
	in := gateway.StartRequest{Full: f.full, Check: true}
	switch {
	case len(args) == 0 && file != "":
		return in, usageError{fmt.Errorf("say which export of %s to check: starter check EXPORT --file %s", file, file)}
	case len(args) == 0:
		e, err := f.define()
		if err != nil {
			return in, usageError{err}
		}
		in.Definition = &e
	case f.describes(c) != nil:
		return in, f.describes(c)
	case file != "":
		all, err := config.LoadExports(file)
		if err != nil {
			return in, err
		}
		i := slices.IndexFunc(all.Exports, func(e schemas.Export) bool { return e.Name == args[0] })
		if i < 0 {
			var names []string
			for _, e := range all.Exports {
				names = append(names, e.Name)
			}
			return in, fmt.Errorf("%s describes no export %q%s", file, args[0], spelling.Guess(args[0], names))
		}
		in.Definition = &all.Exports[i]
	default:
		in.Export = args[0]
	}
	return in, nil
}

// check starts a check, follows it, and tells what it found. Where who started it
// follows it no more, it is stopped.
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
		fmt.Fprintf(c.ErrOrStderr(), "A check of «%s» is under way already; this joins it.\n", run.Export)
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
	return a.tellCheck(c, o, v, show)
}

// finding is what the check of one segment says, with the examples.
type finding struct {
	schemas.ExportReport
	Examples *schemas.Examples `json:"examples,omitempty"`
}

// tellCheck prints what a check found, and gives the exit status for it.
func (a *app) tellCheck(c *cobra.Command, o gateway.Service, v operate.View, show bool) error {
	segments := make([]finding, len(v.Segments))
	found, err := o.Examples(c.Context(), v.Run)
	code := exit(v.State)
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
			why := "they are not kept any more, or the data root is another one"
			if err != nil {
				why = err.Error()
			}
			fmt.Fprintf(c.ErrOrStderr(), "starter: no examples of «%s»: %s\n", s.Report.Segment, why)
			continue
		}
		if !show {
			mask(&examples)
		}
		segments[i].Examples = &examples
	}
	if a.output == "json" {
		if err := printJSON(c.OutOrStdout(), map[string]any{"run": v.Run, "state": v.State, "error": v.Error, "segments": segments}); err != nil {
			return err
		}
		return code
	}
	w := c.OutOrStdout()
	for _, s := range segments {
		showChecked(w, s)
	}
	if v.Error != "" {
		fmt.Fprintln(w, v.Error)
	}
	return code
}

func mask(e *schemas.Examples) {
	for _, people := range [][]schemas.Example{e.Adds, e.Updates, e.Removals, e.Rejects} {
		for i := range people {
			p := &people[i]
			p.Email, p.UserID, p.Value = console.Masked(p.Email), console.Masked(p.UserID), console.Masked(p.Value)
		}
	}
}

// showChecked prints what a run would do with one segment.
func showChecked(w io.Writer, s finding) {
	m, r := s.Manifest, s.Check
	if r == nil {
		fmt.Fprintf(w, "«%s» could not be checked: %s\n\n", s.Segment, s.Error)
		return
	}
	list := fmt.Sprintf("to list %d", s.ListID)
	if r.NoList {
		list = "to a new list"
	}
	fmt.Fprintf(w, "«%s», %s: what a run would do\n\n", s.Segment, list)
	var rows [][]string
	add := func(what string, n int64) { rows = append(rows, []string{what, console.Count(n)}) }
	if t := s.Info.Table; t != nil {
		add("version of the "+t.Format+" table", t.Version)
	}
	add("rows read", m.Read)
	add("add", m.Adds)
	add("update", m.Updates)
	add("remove", m.Removals)
	add("leave as they are", m.Unchanged)
	add("duplicates", m.Duplicates)
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
	for _, g := range r.Guardrails {
		fmt.Fprintf(w, "A run would wait for starter approve: %s\n", g)
	}
	for _, c := range r.Clashes {
		fmt.Fprintf(w, "A run would wait for a correction: %s\n", c)
	}
	if len(r.NewFields) > 0 {
		fmt.Fprintf(w, "A run would create %s in Iterable, where a field can never be removed. A scheduled run does what newFields says.\n", schemas.FieldNames(r.NewFields))
	}
	if r.SentAgain != "" {
		fmt.Fprintf(w, "A run would send everybody again: %s. A scheduled run does what fullRuns says.\n", r.SentAgain)
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(w, "Warning: %s\n", warning)
	}
	showExamples(w, s.Examples)
}

func showExamples(w io.Writer, e *schemas.Examples) {
	if e == nil {
		return
	}
	var rows [][]string
	for _, kind := range []struct {
		what   string
		people []schemas.Example
	}{{"add", e.Adds}, {"update", e.Updates}, {"remove", e.Removals}, {"reject", e.Rejects}} {
		for _, p := range kind.people {
			who := strings.Trim(p.Email+" "+p.UserID, " ")
			why := ""
			if kind.what == "reject" {
				who = p.Value
				why = fmt.Sprintf("%s: %s (%s, row %d)", p.Reason, p.Reason.Sentence(), p.File, p.Row)
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
