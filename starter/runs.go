package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

func (a *app) runsCommand() *cobra.Command {
	var limit int
	c := a.serviceCommand(&cobra.Command{
		Use:   "runs [EXPORT]",
		Short: "List the latest runs",
		Long: `List the latest runs, newest first: who or what started each, its state, what it sent,
how long it took, what it waits for, which step fails and is tried again, and how often it
started over. Scheduled starts that were skipped are listed too, with the reason and, where a
refresh made up for one, when.`,
		Example: "  starter runs\n  starter runs \"Spring campaign\" --limit 5",
		Args:    atMostOne("EXPORT"),
	}, func(c *cobra.Command, o gateway.Service, args []string) error {
		if limit < 1 {
			return usageError{errors.New("--limit must be 1 or more")}
		}
		export := ""
		if len(args) > 0 {
			export = args[0]
		}
		views, err := o.Runs(c.Context(), gateway.RunsRequest{Export: export, Limit: limit})
		if err != nil {
			return err
		}
		if err := known(c.Context(), o, export, views); err != nil {
			return err
		}
		if done, err := list(a, c.OutOrStdout(), views, ran(views), runID); done || err != nil {
			return err
		}
		showHistory(c, views)
		a.showLinks(c, o, export)
		return nil
	})
	c.Flags().IntVar(&limit, "limit", 20, "list at most this many runs")
	return c
}

// known returns an error if there are no views of an export because no export has that name.
func known(ctx context.Context, o gateway.Service, export string, views []operate.View) error {
	if export == "" || len(views) > 0 {
		return nil
	}
	_, missing := o.Find(ctx, export) // also finds one that the list does not have yet
	if missing == nil {
		return nil
	}
	if _, err := o.Export(ctx, export); err == nil {
		return nil // it has not run yet
	}
	return missing
}

// runID returns what names a run in commands.
func runID(v operate.View) string { return v.Run.RunID }

// ran returns the runs among views, without starts that were skipped: no command finds those.
func ran(views []operate.View) []operate.View {
	return slices.DeleteFunc(slices.Clone(views), operate.View.NoRun)
}

func showHistory(c *cobra.Command, views []operate.View) {
	header := []string{"started", "export", "started by", "state", "segments", "read", "sent", "removed", "rejected", "took", "run"}
	var rows [][]string
	for _, v := range views {
		row := []string{aged(v.StartedAt, time.Now()), v.Run.Export, console.Printable(v.Trigger.Starter()), v.State, "", "", "", "", "", "", v.Run.RunID}
		if v.NoRun() {
			row[10] = ""
			rows = append(rows, row)
			continue
		}
		var read, sent, removed, rejected int64
		done := 0
		for _, s := range v.Segments {
			sent, removed = sent+s.Report.Upload.Sent, removed+s.Report.Upload.Removed
			if s.Report.Of == "" { // the divided segment counts the rows of its lists
				read += s.Report.Manifest.Read
			}
			for _, n := range s.Report.Rejected {
				rejected += n
			}
			if s.State == schemas.StateDone {
				done++
			}
		}
		row[4] = fmt.Sprintf("%d of %d", done, len(v.Segments))
		row[5], row[6], row[7], row[8] = humanize.Comma(read), humanize.Comma(sent), humanize.Comma(removed), humanize.Comma(rejected)
		if !v.FinishedAt.IsZero() {
			row[9] = console.Ago(v.FinishedAt.Sub(v.StartedAt))
		}
		rows = append(rows, row)
	}
	w := c.OutOrStdout()
	console.Table(w, header, rows, header[4:10]...)
	for _, v := range views {
		if v.NoRun() {
			fmt.Fprintf(w, "%s, %q skipped: %s\n", local(v.StartedAt), v.Run.Export, strings.TrimPrefix(v.Error, "skipped: "))
		}
		for _, s := range v.Segments {
			if s.State == schemas.StateSkipped {
				fmt.Fprintf(w, "%s, %q skipped: %s\n", local(v.StartedAt), s.Run.Segment, s.Report.Error)
			}
			if restarts := s.Report.Restarts(); restarts != "" {
				fmt.Fprintf(w, "%s, %q: %s\n", local(v.StartedAt), s.Run.Segment, restarts)
			}
		}
		for name, retrying := range v.Retries() {
			fmt.Fprintf(w, "%q: %s; see: starter status %s\n", name, retrying, schemas.ShellWord(v.Run.Export))
		}
		for _, wait := range v.Waits() {
			fmt.Fprintf(w, "%q waits at %s: %s; see: starter status %s\n", cmp.Or(wait.Segment, v.Run.Export), wait.Step, wait.Message, schemas.ShellWord(v.Run.Export))
		}
	}
}
