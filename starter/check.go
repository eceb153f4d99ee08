package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/spelling"
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

// showCheck prints the result of a check and returns the exit status for it.
func (a *app) showCheck(c *cobra.Command, o gateway.Service, v operate.View, show bool) error {
	segments := make([]console.Checked, len(v.Segments))
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
			console.Mask(&examples)
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
		console.Check(w, s)
	}
	if v.Error != "" {
		fmt.Fprintln(w, v.Error)
	}
	return code
}
