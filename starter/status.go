package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

func (a *app) statusCommand() *cobra.Command {
	var follow bool
	c := a.serviceCommand(&cobra.Command{
		Use:     "status [RUN]",
		Aliases: []string{"show", "watch"},
		Short:   "Show a run, or all runs under way, and follow them",
		Long: `Show a run: its state, who started it, what it sends, and the result or the wait of
each segment, or which of its steps fails and is tried again. Without RUN, show all runs
under way. With --follow, or as starter watch, follow them until each has ended or waits
for an operator. Ctrl-C stops following; the runs go on.`,
		Example: `  starter status "High-value customers"
  starter status --follow`,
		Args: atMostOne("RUN"),
	}, func(c *cobra.Command, o gateway.Service, args []string) error {
		follow = follow || c.CalledAs() == "watch"
		if len(args) == 1 {
			run, err := o.Find(c.Context(), args[0])
			if err != nil {
				return err
			}
			if follow {
				return a.follow(c, o, []operate.Run{run})
			}
			return a.status(c, o, run)
		}
		views, err := o.Runs(c.Context(), gateway.RunsRequest{UnderWay: true})
		if err != nil {
			return err
		}
		var runs []operate.Run
		for i, v := range views {
			runs = append(runs, v.Run)
			if seen, err := o.Look(c.Context(), v.Run); err == nil && !follow {
				views[i] = seen
			}
		}
		switch {
		case len(runs) == 0:
			fmt.Fprintln(c.ErrOrStderr(), "No run is under way.")
		case follow:
			return a.follow(c, o, runs)
		}
		return a.showRuns(c, views)
	})
	c.Flags().BoolVarP(&follow, "follow", "f", false, "follow until each run has ended or waits")
	return c
}

// runStatus is a run with what it was started with.
type runStatus struct {
	operate.View
	Definition *schemas.Export `json:"definition,omitempty"`
	Full       bool            `json:"full"`
	Grant      *schemas.Grant  `json:"grant,omitempty"`
}

// status prints everything about one run.
func (a *app) status(c *cobra.Command, o gateway.Service, run operate.Run) error {
	v, err := o.Look(c.Context(), run)
	if err != nil {
		return err
	}
	in, err := o.Input(c.Context(), run)
	if err != nil {
		return err
	}
	if a.output == outputName {
		fmt.Fprintln(c.OutOrStdout(), runID(v))
		return exit(v)
	}
	if a.structured() {
		if err := a.encode(c.OutOrStdout(), runStatus{v, &in.Export, in.Full, in.Grant}); err != nil {
			return err
		}
		return exit(v)
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Started   %s by %s\n", aged(v.StartedAt, time.Now()), console.Printable(v.Trigger.Starter()))
	if !v.FinishedAt.IsZero() {
		fmt.Fprintf(w, "Ended     %s, after %s\n", local(v.FinishedAt), console.Ago(v.FinishedAt.Sub(v.StartedAt)))
	}
	if in.Grant != nil {
		fmt.Fprintf(w, "For       %s, %s\n", console.Printable(in.Grant.Person.Name), in.Grant.Person.Role)
	}
	fmt.Fprintf(w, "Sends     %s over connection %q\n", map[bool]string{true: "all profiles", false: "what changed"}[in.Full], in.Export.Connection)
	if words := in.Export.Follows(); words != "" && in.Trigger.Kind == schemas.TriggerSchedule {
		fmt.Fprintf(w, "Order     %s\n", console.Printable(words))
	}
	for _, s := range in.Export.Segments {
		fmt.Fprintf(w, "Segment   %q of %s\n", s.Name, s.Source)
	}
	fmt.Fprintf(w, "Workflow  %s\n", v.Run.WorkflowID)
	if link := a.runURL(c.Context(), o, v.Run); link != "" {
		fmt.Fprintf(w, "Page      %s\n", link)
	}
	console.Run(w, v)
	return exit(v)
}

// follow shows the progress of runs until each has ended or waits, and then their states.
func (a *app) follow(c *cobra.Command, o gateway.Service, runs []operate.Run) error {
	all := make([]watch, len(runs))
	for i, run := range runs {
		all[i] = watched(o, run)
	}
	return a.followAll(c, all)
}

// watch is a run of an export to follow. until blocks until it has ended or waits for an
// operator, and calls see with its progress.
type watch struct {
	export string
	until  func(ctx context.Context, see func(operate.View, error)) (operate.View, error)
}

func watched(o gateway.Service, run operate.Run) watch {
	return watch{run.Export, func(ctx context.Context, see func(operate.View, error)) (operate.View, error) {
		return o.Watch(ctx, run, true, see)
	}}
}

// followAll is follow for watches.
func (a *app) followAll(c *cobra.Command, follow []watch) error {
	progress := console.NewProgress(c.ErrOrStderr())
	views := make([]operate.View, len(follow))
	errs := make([]error, len(follow))
	var all sync.WaitGroup
	for i, w := range follow {
		all.Go(func() { views[i], errs[i] = w.until(c.Context(), progress.See) })
	}
	all.Wait()
	progress.Close()
	if errors.Is(c.Context().Err(), context.Canceled) {
		which, what := "runs go on", ""
		if len(follow) == 1 {
			which, what = "run goes on", " "+schemas.ShellWord(follow[0].export)
		}
		fmt.Fprintf(c.ErrOrStderr(), "No longer following; the %s. See: starter status%s\n", which, what)
		return nil
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return a.showRuns(c, views)
}

// showRuns prints the states of runs and returns the exit status for them.
func (a *app) showRuns(c *cobra.Command, views []operate.View) error {
	w := c.OutOrStdout()
	switch {
	case a.structured(), a.output == outputName:
		if _, err := list(a, w, views, views, runID); err != nil {
			return err
		}
	case len(views) == 1:
		console.Run(w, views[0])
	case len(views) > 1:
		console.Summary(w, views)
		for _, v := range views {
			if v.Error != "" {
				fmt.Fprintf(w, "%q %s: %s\n", v.Run.Export, v.State, v.Error)
			}
			console.Segments(w, v)
		}
	}
	return exit(views...)
}
