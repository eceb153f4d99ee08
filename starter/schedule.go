package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// onExport makes a command that does something with one applied export. do gives
// what to tell of it.
func (a *app) onExport(c *cobra.Command, do func(*cobra.Command, gateway.Service, operate.Applied) (string, error)) *cobra.Command {
	c.Args = exactly(1, "the name of one EXPORT")
	c.RunE = func(c *cobra.Command, args []string) error {
		o, done, err := a.service(c.Context())
		if err != nil {
			return err
		}
		defer done()
		e, err := o.Export(c.Context(), args[0])
		if err != nil {
			return err
		}
		told, err := do(c, o, e)
		if err != nil {
			return err
		}
		if a.output == "json" {
			return printJSON(c.OutOrStdout(), map[string]string{"export": e.Export.Name, "done": told})
		}
		fmt.Fprintln(c.OutOrStdout(), told)
		return nil
	}
	return c
}

func needsTiming(e operate.Applied) error {
	if e.Timing == nil {
		return fmt.Errorf("the export «%s» has no schedule; give it one in its file and apply that, or run it with: starter run %s", e.Export.Name, schemas.ShellWord(e.Export.Name))
	}
	return nil
}

func (a *app) pauseCommand() *cobra.Command {
	return a.onExport(&cobra.Command{
		Use: "pause EXPORT", Short: "Stop the schedule of an export until it is resumed",
		Long:    "Stop the schedule of an export until it is resumed. A run under way goes on, and so\ncan new ones be started with starter run.",
		Example: `  starter pause "Spring campaign"`,
	}, func(c *cobra.Command, o gateway.Service, e operate.Applied) (string, error) {
		if err := needsTiming(e); err != nil {
			return "", err
		}
		if e.Paused {
			return fmt.Sprintf("«%s» is paused already: %s", e.Export.Name, e.Note), nil
		}
		return fmt.Sprintf("Paused: «%s» runs only when somebody starts it.", e.Export.Name), o.Schedule(c.Context(), e.Export.Name, gateway.ScheduleRequest{Do: gateway.Pause})
	})
}

func (a *app) resumeCommand() *cobra.Command {
	return a.onExport(&cobra.Command{
		Use: "resume EXPORT", Short: "Let the schedule of an export go on",
		Long:    "Let the schedule of an export go on. Starts that were missed meanwhile are not made\nup for; starter backfill does that.",
		Example: `  starter resume "Spring campaign"`,
	}, func(c *cobra.Command, o gateway.Service, e operate.Applied) (string, error) {
		if err := needsTiming(e); err != nil {
			return "", err
		}
		if !e.Paused {
			next := "does not start again"
			if !e.Next.IsZero() {
				next = "starts next at " + local(e.Next)
			}
			return fmt.Sprintf("«%s» is not paused; it %s.", e.Export.Name, next), nil
		}
		told := fmt.Sprintf("Resumed: «%s».", e.Export.Name)
		if e.Detached {
			told += fmt.Sprintf(" Its connection was disconnected: runs wait until an administrator connects it again with: starter connect %s", schemas.ShellWord(e.Export.Connection))
		}
		return told, o.Schedule(c.Context(), e.Export.Name, gateway.ScheduleRequest{Do: gateway.Resume})
	})
}

func (a *app) triggerCommand() *cobra.Command {
	return a.onExport(&cobra.Command{
		Use: "trigger EXPORT", Short: "Do now what the schedule of an export does when it is time",
		Long:    "Do now what the schedule of an export does when it is time: where a run is under way,\nthe start is skipped. starter run joins it instead. The run counts as the schedule's.",
		Example: `  starter trigger "Spring campaign"`,
	}, func(c *cobra.Command, o gateway.Service, e operate.Applied) (string, error) {
		return fmt.Sprintf("Triggered. Follow the run with: starter watch %s", schemas.ShellWord(e.Export.Name)), o.Schedule(c.Context(), e.Export.Name, gateway.ScheduleRequest{Do: gateway.Trigger})
	})
}

func (a *app) backfillCommand() *cobra.Command {
	var from, to string
	c := a.onExport(&cobra.Command{
		Use: "backfill EXPORT --from TIME --to TIME", Short: "Make up for the starts that an export has missed",
		Long: `Make up for the starts that an export has missed between two times. A run sends the
segment as it is now, so one run makes up for many starts: those that find it under
way are skipped. The runs count as the schedule's.`,
		Example: `  starter backfill "Spring campaign" --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z`,
	}, func(c *cobra.Command, o gateway.Service, e operate.Applied) (string, error) {
		start, err := parseTime("--from", from)
		if err != nil {
			return "", err
		}
		end, err := parseTime("--to", to)
		if err != nil {
			return "", err
		}
		if !end.After(start) {
			return "", usageError{errors.New("--to has to be later than --from")}
		}
		if end.After(time.Now()) {
			return "", usageError{errors.New("--to lies in the future; a backfill is for starts that were missed")}
		}
		if err := needsTiming(e); err != nil {
			return "", err
		}
		return fmt.Sprintf("Asked for the starts of «%s» from %s to %s. See them with: starter runs %s", e.Export.Name, from, to, schemas.ShellWord(e.Export.Name)),
			o.Schedule(c.Context(), e.Export.Name, gateway.ScheduleRequest{Do: gateway.Backfill, From: start, To: end})
	})
	c.Flags().StringVar(&from, "from", "", "time from which on starts are made up for, such as 2026-03-01T00:00:00Z")
	c.Flags().StringVar(&to, "to", "", "time until which starts are made up for")
	return c
}

func parseTime(flag, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usageError{fmt.Errorf("%s %q is no time; write it like 2026-03-01T04:00:00Z", flag, text)}
	}
	return t, nil
}

func (a *app) removeCommand() *cobra.Command {
	var yes, lists bool
	c := &cobra.Command{
		Use: "remove EXPORT", Short: "Remove an export, and what is kept of its people",
		Long: `Remove an export: its schedule, and its snapshots, staged data, reports and rejected
rows in the data root, so that no person's data of it is left there. With
--delete-list its lists in Iterable too, as far as the export has made them. While a
run is under way the command refuses. Take the export out of its file as well. One that
was never applied, and only run as flags described it, can be removed too.`,
		Example: "  starter remove \"Spring campaign\"\n  starter remove \"Spring campaign\" --delete-list --yes",
		Args:    exactly(1, "the name of one EXPORT"),
		RunE: func(c *cobra.Command, args []string) error {
			o, done, err := a.service(c.Context())
			if err != nil {
				return err
			}
			defer done()
			return a.remove(c, o, args[0], yes, lists)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "remove without asking")
	c.Flags().BoolVar(&lists, "delete-list", false, "delete the lists in Iterable too that the export has made")
	return c
}

func (a *app) remove(c *cobra.Command, o gateway.Service, name string, yes, lists bool) error {
	_, err := o.Export(c.Context(), name)
	unapplied := errors.Is(err, operate.ErrNotApplied)
	if err != nil && !unapplied {
		return err
	}
	asked, removed := "its schedule, ", "its schedule and "
	if unapplied {
		asked, removed = "", ""
	}
	if !yes {
		what := "its lists in Iterable stay"
		if lists {
			what = "and its lists in Iterable"
		}
		if err := confirm(c, fmt.Sprintf("Remove «%s» with %ssnapshots, staged data and reports; %s? Type yes:", name, asked, what), "--yes"); err != nil {
			return err
		}
	}
	out, err := o.Remove(c.Context(), name, gateway.RemoveRequest{DeleteLists: lists})
	if err != nil {
		return err
	}
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), map[string]any{"export": name, "removed": out})
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Removed: «%s» with %s%s.\n", name, removed, console.Things(out.Files, "file"))
	if !lists {
		fmt.Fprintln(w, "Its lists in Iterable stay, with everybody on them.")
	}
	for _, l := range out.Lists {
		if l.Deleted {
			fmt.Fprintf(w, "Deleted list %d, «%s».\n", l.ID, l.Name)
		} else {
			fmt.Fprintf(w, "List «%s» was not deleted: %s\n", l.Name, l.Why)
		}
	}
	return nil
}
