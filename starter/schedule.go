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

func (a *app) pauseCommand() *cobra.Command {
	return a.scheduleCommand(&cobra.Command{
		Use: "pause EXPORT", Short: "Pause the schedule of an export",
		Long:    "Pause the schedule of an export until starter resume. A run under way goes on, and new ones\ncan be started with starter run.",
		Example: `  starter pause "Spring campaign"`,
	}, true)
}

func (a *app) resumeCommand() *cobra.Command {
	return a.scheduleCommand(&cobra.Command{
		Use: "resume EXPORT", Short: "Resume the schedule of an export",
		Long:    "Resume the schedule of an export. Starts that were missed while it was paused are not made\nup for; one starter run does that.",
		Example: `  starter resume "Spring campaign"`,
	}, false)
}

// scheduleCommand makes a command that pauses or resumes a schedule.
func (a *app) scheduleCommand(c *cobra.Command, pause bool) *cobra.Command {
	c.Args = exactly(1, "the name of one EXPORT")
	return a.serviceCommand(c, func(c *cobra.Command, o gateway.Service, args []string) error {
		e, err := o.Export(c.Context(), args[0])
		if err != nil {
			return err
		}
		name := e.Export.Name
		done := ""
		switch {
		case pause && e.Paused:
			done = fmt.Sprintf("%q is already paused: %s", name, e.Note)
		case pause:
			done = fmt.Sprintf("Paused: %q runs only when it is started with starter run.", name)
			if len(e.Followers) > 0 {
				done += fmt.Sprintf(" Refreshes leave it out, and %q after it does what its afterFailure says.", e.Followers[0])
			}
		case !e.Paused && e.Timing == nil && len(e.Export.After) == 0:
			done = fmt.Sprintf("%q is not paused; it has no schedule, and starts on news of its data or with: starter run %s", name, schemas.ShellWord(name))
		case !e.Paused && e.Timing == nil:
			done = fmt.Sprintf("%q is not paused; it starts %s.", name, e.Words)
		case !e.Paused && e.Next.IsZero():
			done = fmt.Sprintf("%q is not paused; its schedule has no further start.", name)
		case !e.Paused:
			done = fmt.Sprintf("%q is not paused; its next start is at %s.", name, local(e.Next))
		default:
			done = fmt.Sprintf("Resumed: %q.", name)
			if e.Detached {
				done += fmt.Sprintf(" If its connection is still disconnected, runs wait until an administrator connects it with: starter connect %s", schemas.ShellWord(e.Export.Connection))
			}
		}
		// Also where nothing has to change, so that people who may not change it are told.
		if err := o.Schedule(c.Context(), name, gateway.ScheduleRequest{Paused: pause}); err != nil {
			return err
		}
		return a.print(c, scheduleOutput{name, done}, "%s", done)
	})
}

func (a *app) removeCommand() *cobra.Command {
	var yes, lists bool
	c := a.serviceCommand(&cobra.Command{
		Use: "remove EXPORT", Short: "Remove an export and its data",
		Long: `Remove an export: its schedule, and its snapshots, staged data, reports and rejected
rows in the data root. With --delete-list it also deletes the lists in Iterable that the
export created. It refuses while a run is under way. An export that was never applied can
be removed too. Remove the export from its file as well, or the next apply creates it again.`,
		Example: "  starter remove \"Spring campaign\"\n  starter remove \"Spring campaign\" --delete-list --yes",
		Args:    exactly(1, "the name of one EXPORT"),
	}, func(c *cobra.Command, o gateway.Service, args []string) error {
		return a.remove(c, o, args[0], yes, lists)
	})
	c.Flags().BoolVar(&yes, "yes", false, "remove without asking")
	c.Flags().BoolVar(&lists, "delete-list", false, "also delete the lists in Iterable that the export created")
	return c
}

func (a *app) remove(c *cobra.Command, o gateway.Service, name string, yes, lists bool) error {
	_, err := o.Export(c.Context(), name)
	unapplied := errors.Is(err, operate.ErrNotApplied)
	if err != nil && !unapplied {
		return err
	}
	schedule, removed := "its schedule, ", "its schedule and "
	if unapplied {
		schedule, removed = "", ""
	}
	if !yes {
		what := "its lists in Iterable stay"
		if lists {
			what = "and its lists in Iterable"
		}
		if err := confirm(c, "--yes", "Remove %q with %ssnapshots, staged data and reports; %s?", name, schedule, what); err != nil {
			return err
		}
	}
	out, err := o.Remove(c.Context(), name, gateway.RemoveRequest{DeleteLists: lists})
	if err != nil {
		return err
	}
	if a.structured() {
		return a.encode(c.OutOrStdout(), removeOutput{name, out})
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Removed: %q with %s%s.\n", name, removed, console.Things(out.Files, "file"))
	if !lists {
		fmt.Fprintln(w, "Its lists in Iterable stay as they are.")
	}
	for _, l := range out.Lists {
		if l.Deleted {
			fmt.Fprintf(w, "Deleted list %d, %q.\n", l.ID, l.Name)
		} else {
			fmt.Fprintf(w, "List %q was not deleted: %s\n", l.Name, l.Why)
		}
	}
	return nil
}

func (a *app) moveCommand() *cobra.Command {
	return a.serviceCommand(&cobra.Command{
		Use:   "move EXPORT CONNECTION",
		Short: "Move an export to another connection",
		Long: `Move an export to another connection. The name of an export belongs to the connection
that it was first applied or run with, until a person who may use both connections moves
it. The next run sends all profiles there. The lists of the former project stay as they
are, and so does their data in the data root until the export is removed. The command
refuses while a run is under way. Change the connection in the file as well.`,
		Example: `  starter move "Spring campaign" marketing-eu`,
		Args:    exactly(2, "an EXPORT and a CONNECTION"),
	}, func(c *cobra.Command, o gateway.Service, args []string) error {
		moved, err := o.Move(c.Context(), args[0], gateway.MoveRequest{Connection: args[1]})
		if err != nil {
			return err
		}
		return a.print(c, moved, "Moved: %q belongs to connection %q.", moved.Export, moved.Connection)
	})
}
