package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
)

func (a *app) exportsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "exports",
		Short: "List the exports that were applied",
		Long: `List the exports that were applied: connection, segments, schedule, next run, last
run, and whose permission they run with.`,
		Example: "  starter exports\n  starter exports -o json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			o, done, err := a.service(c.Context())
			if err != nil {
				return err
			}
			defer done()
			return a.exports(c, o)
		},
	}
}

// exportRow is an applied export with its last run.
type exportRow struct {
	operate.Applied
	Last *operate.View `json:"last,omitempty"`
}

func (a *app) exports(c *cobra.Command, o gateway.Service) error {
	applied, err := o.Exports(c.Context())
	if err != nil {
		return err
	}
	rows := make([]exportRow, len(applied))
	var table [][]string
	for i, e := range applied {
		rows[i].Applied = e
		last := "never"
		if v, err := newest(c.Context(), o, e.Export.Name); err == nil {
			rows[i].Last = &v
			last = v.State + "\n" + local(v.StartedAt)
		}
		var segments []string
		for _, s := range e.Export.Segments {
			segments = append(segments, s.Name)
		}
		table = append(table, []string{e.Export.Name, e.Export.Connection, strings.Join(segments, "\n"), scheduleText(e), local(e.Next), last, permission(e)})
	}
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(c.OutOrStdout(), "No export was applied yet. Apply a file with: starter apply exports.yaml")
		return nil
	}
	console.Table(c.OutOrStdout(), []string{"export", "connection", "segments", "schedule", "next run", "last run", "permission"}, table)
	return nil
}

// newest is how the newest run of an export stands.
func newest(ctx context.Context, o gateway.Service, export string) (operate.View, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	run, err := o.Find(ctx, export)
	if err != nil {
		return operate.View{}, err
	}
	return o.Look(ctx, run)
}

func scheduleText(e operate.Applied) string {
	text := "off"
	if t := e.Timing; t != nil {
		text = t.Cron
		if t.TimeZone != "" {
			text += " " + t.TimeZone
		}
	}
	switch {
	case e.Detached:
		text += "\nno connection"
	case e.Paused:
		text += "\npaused"
	}
	if e.Skipped > 0 {
		text += fmt.Sprintf("\n%d starts skipped", e.Skipped)
	}
	return text
}

// permission says whose right the export's schedule has.
func permission(e operate.Applied) string {
	if e.Grant == nil {
		return "nobody's"
	}
	return console.Printable(e.Grant.Person.Name) + "\n" + e.Grant.Person.Role
}

// local writes a time for people, in their own zone.
func local(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
