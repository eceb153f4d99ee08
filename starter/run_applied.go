package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// runApplied starts exports that were applied and, unless told otherwise, follows
// them.
func (a *app) runApplied(c *cobra.Command, names []string, f runFlags) error {
	if f.all && len(names) > 0 {
		return usageError{errors.New("--all and the names of exports exclude each other")}
	}
	if err := f.describes(c); err != nil {
		return err
	}
	o, done, err := a.service(c.Context())
	if err != nil {
		return err
	}
	defer done()
	chosen, err := a.chosen(c.Context(), o, names, f.all)
	if err != nil {
		return err
	}
	var runs []operate.Run
	var failed []error
	for _, e := range chosen {
		started, err := o.Start(c.Context(), gateway.StartRequest{Export: e.Export.Name, Full: f.full})
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if started.Joined {
			tellJoined(c, started.Run)
		}
		runs = append(runs, started.Run)
	}
	for _, err := range failed {
		fmt.Fprintln(c.ErrOrStderr(), "starter:", err)
	}
	if f.detach || !f.wait {
		err = a.tellStarted(c, runs)
	} else {
		err = a.followAll(c, o, runs)
	}
	var told status
	if len(failed) > 0 && (err == nil || errors.As(err, &told)) {
		return status(exitFailed)
	}
	return err
}

// describes refuses flags that describe an export where it is named instead.
func (runFlags) describes(c *cobra.Command) error {
	for _, flag := range []string{"segment", "source", "list-id", "connection", "export", "email", "user-id", "field", "all-fields", "deadline"} {
		if c.Flags().Changed(flag) {
			return usageError{fmt.Errorf("--%s describes an export that was not applied; leave it out, or leave out the names of exports and --all", flag)}
		}
	}
	return nil
}

// chosen are the applied exports of those names, or all with an active schedule.
func (a *app) chosen(ctx context.Context, o gateway.Service, names []string, all bool) ([]operate.Applied, error) {
	var chosen []operate.Applied
	if !all {
		for _, name := range names {
			e, err := o.Export(ctx, name)
			if err != nil {
				return nil, err
			}
			chosen = append(chosen, e)
		}
		return chosen, nil
	}
	applied, err := o.Exports(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range applied {
		if e.Active() {
			chosen = append(chosen, e)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no export has an active schedule; starter exports lists them")
	}
	return chosen, nil
}

func (a *app) tellStarted(c *cobra.Command, runs []operate.Run) error {
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), runs)
	}
	for _, run := range runs {
		fmt.Fprintf(c.OutOrStdout(), "Started: run %s. Follow it with: starter watch %s\n", run.RunID, schemas.ShellWord(run.Export))
	}
	return nil
}

// tellJoined says that a run is under way already.
func tellJoined(c *cobra.Command, run operate.Run) {
	fmt.Fprintf(c.ErrOrStderr(), "A run of «%s» is under way already; this joins it.\n", run.Export)
}

// followAll shows how runs get on until each has ended or waits, and then how they
// stand. The exit status is that of the worst.
func (a *app) followAll(c *cobra.Command, o gateway.Service, runs []operate.Run) error {
	if len(runs) == 1 && a.output != "json" {
		return a.follow(c, o, runs[0])
	}
	progress := console.NewProgress(c.ErrOrStderr())
	views := make([]operate.View, len(runs))
	errs := make([]error, len(runs))
	var all sync.WaitGroup
	for i, run := range runs {
		all.Go(func() { views[i], errs[i] = o.Watch(c.Context(), run, true, progress.See) })
	}
	all.Wait()
	progress.Close()
	if c.Context().Err() != nil {
		fmt.Fprintln(c.ErrOrStderr(), "No longer following; the runs go on. See them with: starter runs")
		return nil
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if a.output == "json" {
		if err := printJSON(c.OutOrStdout(), views); err != nil {
			return err
		}
		return worst(views)
	}
	console.Summary(c.OutOrStdout(), views)
	for _, v := range views {
		if v.Error != "" {
			fmt.Fprintf(c.OutOrStdout(), "«%s» %s: %s\n", v.Run.Export, v.State, v.Error)
		}
		console.Waits(c.OutOrStdout(), "starter", v)
	}
	return worst(views)
}

// worst is the exit status for several runs: one that failed counts more than one
// that waits.
func worst(views []operate.View) error {
	var out error
	for _, v := range views {
		err := exit(v.State)
		if err == status(exitFailed) || out == nil && v.State == schemas.StateWaiting {
			out = err
		}
	}
	return out
}
