package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

func (a *app) runsCommand() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "runs [EXPORT]",
		Short: "List the runs, the newest first",
		Long: `List the runs, the newest first: who or what started each, how it ended, what it
sent, and how long it took. Starts of a schedule that were skipped, since a run that
somebody had started was under way, are listed too.`,
		Example: "  starter runs\n  starter runs \"Spring campaign\" --limit 5",
		Args:    atMostOne("EXPORT"),
		RunE: func(c *cobra.Command, args []string) error {
			if limit < 1 {
				return usageError{errors.New("--limit takes a number from 1")}
			}
			o, done, err := a.service(c.Context())
			if err != nil {
				return err
			}
			defer done()
			views, err := o.Runs(c.Context(), gateway.RunsRequest{Export: first(args), Limit: limit})
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), views)
			}
			tellRuns(c, views)
			a.tellViews(c, o, first(args))
			return nil
		},
	}
	c.Flags().IntVar(&limit, "limit", 20, "list at most that many runs")
	return c
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func tellRuns(c *cobra.Command, views []operate.View) {
	header := []string{"started", "export", "started by", "state", "segments", "read", "sent", "removed", "rejected", "took", "run"}
	var rows [][]string
	for _, v := range views {
		row := []string{local(v.StartedAt), v.Run.Export, console.Printable(v.Trigger.Starter()), v.State, "", "", "", "", "", "", v.Run.RunID}
		if v.State == operate.StateSkipped {
			row[10] = "" // there is none
			rows = append(rows, row)
			continue
		}
		var read, sent, removed, refused int64
		done := 0
		for _, s := range v.Segments {
			read, sent, removed = read+s.Report.Manifest.Read, sent+s.Report.Upload.Sent, removed+s.Report.Upload.Removed
			for _, n := range s.Report.Rejected {
				refused += n
			}
			if s.State == schemas.StateDone {
				done++
			}
		}
		row[4] = fmt.Sprintf("%d of %d", done, len(v.Segments))
		row[5], row[6], row[7], row[8] = console.Count(read), console.Count(sent), console.Count(removed), console.Count(refused)
		if !v.FinishedAt.IsZero() {
			row[9] = console.Ago(v.FinishedAt.Sub(v.StartedAt))
		}
		rows = append(rows, row)
	}
	console.Table(c.OutOrStdout(), header, rows, header[4:10]...)
}

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show RUN",
		Short: "Show everything about a run",
		Long: `Show everything about a run: what it was started with, who or what started it, and
what became of each segment.`,
		Example: `  starter show "Spring campaign"`,
		Args:    exactly(1, "one RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.found(c, args[0], func(o gateway.Service, run operate.Run) error { return a.show(c, o, run) })
		},
	}
}

func (a *app) show(c *cobra.Command, o gateway.Service, run operate.Run) error {
	v, err := o.Look(c.Context(), run)
	if err != nil {
		return err
	}
	in, err := o.Input(c.Context(), run)
	if err != nil {
		return err
	}
	if a.output == "json" {
		if err := printJSON(c.OutOrStdout(), map[string]any{"run": v, "export": in.Export, "full": in.Full, "grant": in.Grant}); err != nil {
			return err
		}
		return exit(v.State)
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Started   %s by %s\n", local(v.StartedAt), console.Printable(v.Trigger.Starter()))
	if !v.FinishedAt.IsZero() {
		fmt.Fprintf(w, "Ended     %s, after %s\n", local(v.FinishedAt), console.Ago(v.FinishedAt.Sub(v.StartedAt)))
	}
	if in.Grant != nil {
		fmt.Fprintf(w, "For       %s, %s\n", console.Printable(in.Grant.Person.Name), in.Grant.Person.Role)
	}
	fmt.Fprintf(w, "Sends     %s over connection «%s»\n", map[bool]string{true: "everybody", false: "what changed"}[in.Full], in.Export.Connection)
	for _, s := range in.Export.Segments {
		fmt.Fprintf(w, "Segment   «%s» of %s\n", s.Name, s.Source)
	}
	fmt.Fprintf(w, "Workflow  %s\n", v.Run.WorkflowID)
	if link := a.runURL(c.Context(), o, v.Run); link != "" {
		fmt.Fprintf(w, "Page      %s\n", link)
	}
	return a.tell(c, v)
}

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [EXPORT]",
		Short: "Follow the run of an export, or all runs that are under way",
		Long: `Follow the run of an export, or all runs that are under way, until each has ended
or waits for an operator. Ctrl-C stops following; the runs go on.`,
		Example: "  starter watch\n  starter watch \"Spring campaign\"",
		Args:    atMostOne("EXPORT"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.found(c, args[0], func(o gateway.Service, run operate.Run) error {
					return a.followAll(c, o, []operate.Run{run})
				})
			}
			o, done, err := a.service(c.Context())
			if err != nil {
				return err
			}
			defer done()
			views, err := o.Runs(c.Context(), gateway.RunsRequest{UnderWay: true})
			if err != nil {
				return err
			}
			var runs []operate.Run
			for _, v := range views {
				runs = append(runs, v.Run)
			}
			if len(runs) == 0 {
				fmt.Fprintln(c.ErrOrStderr(), "Nothing runs.")
			}
			return a.followAll(c, o, runs)
		},
	}
}
