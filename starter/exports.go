package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

func (a *app) exportsCommand() *cobra.Command {
	return a.serviceCommand(&cobra.Command{
		Use:   "exports",
		Short: "List the applied exports",
		Long: `List the applied exports: connection, segments, schedule in words, the next three starts in
its time zone, last run, and where runs need a grant, the person who granted it. With
-o yaml it prints a file that starter apply accepts; to copy an export, edit that.`,
		Example: "  starter exports\n  starter exports -o json\n  starter exports -o yaml > exports.yaml",
		Args:    exactly(0, "no arguments"),
	}, a.exports)
}

// exportRow is an applied export with its last run.
type exportRow struct {
	operate.Applied
	Last *operate.View `json:"last,omitempty"`
}

func (a *app) exports(c *cobra.Command, o gateway.Service, _ []string) error {
	applied, err := o.Exports(c.Context())
	if err != nil {
		return err
	}
	if a.output == outputYAML {
		return writeExports(c, applied)
	}
	if a.output == outputName {
		_, err := list(a, c.OutOrStdout(), nil, applied, func(e operate.Applied) string { return e.Export.Name })
		return err
	}
	me, err := o.Me(c.Context())
	if err != nil {
		return err
	}
	header := []string{"export", "connection", "segments", "schedule", "next runs", "last run"}
	if me.Required {
		header = append(header, "granted by")
	}
	rows := make([]exportRow, len(applied))
	var table [][]string
	for i, e := range applied {
		rows[i].Applied = e
		last := "unknown"
		v, err := newest(c.Context(), o, e.Export.Name)
		switch {
		case err == nil:
			rows[i].Last = &v
			last = v.State + "\n" + aged(v.StartedAt, time.Now())
		case errors.Is(err, operate.ErrNoRun):
			last = "never"
			if v, ok := listed(c.Context(), o, e.Export.Name); ok { // an export of that name was removed
				rows[i].Last = &v
				last = v.State + "\n" + aged(v.StartedAt, time.Now())
			}
		}
		var segments []string
		for _, s := range e.Export.Segments {
			segments = append(segments, s.Name)
			if s.Divided() {
				segments = append(segments, listsOf(s.Name, rows[i].Last)...)
			}
		}
		row := []string{e.Export.Name, e.Export.Connection, strings.Join(segments, "\n"), scheduleText(e), nextText(e), last}
		if me.Required {
			row = append(row, grantText(e))
		}
		table = append(table, row)
	}
	switch {
	case a.structured():
		return a.encode(c.OutOrStdout(), rows)
	case len(rows) == 0:
		fmt.Fprintln(c.OutOrStdout(), "No export is applied. Apply a file with: starter apply exports.yaml")
	default:
		console.Table(c.OutOrStdout(), header, table)
	}
	return nil
}

// listsOf returns the lists that a divided segment had in a run, indented.
func listsOf(segment string, v *operate.View) (out []string) {
	if v == nil {
		return nil
	}
	for _, s := range v.Segments {
		if s.Report.Of == segment {
			out = append(out, "  "+s.Run.Segment)
		}
	}
	return out
}

// writeExports prints the exports as a file. A file has one refresh, so exports that were
// applied with another one, or without, get a schedule of their own.
func writeExports(c *cobra.Command, applied []operate.Applied) error {
	file := schemas.Exports{Exports: []schemas.Export{}}
	for _, a := range applied {
		if a.Export.Schedule.IsZero() && file.Refresh == nil {
			file.Refresh = a.Timing
		}
	}
	for _, a := range applied {
		e := a.Export
		if e.Schedule.IsZero() && file.Refresh != nil && len(e.After) == 0 {
			e.Schedule.Off = a.Timing == nil
			if a.Timing != nil && !reflect.DeepEqual(a.Timing, file.Refresh) {
				e.Schedule.Own = a.Timing
			}
		}
		file.Exports = append(file.Exports, e)
	}
	text, err := json.Marshal(file)
	if err == nil {
		text, err = yaml.JSONToYAML(text)
	}
	if err == nil {
		_, err = c.OutOrStdout().Write(text)
	}
	return err
}

// newest returns the state of the latest run of an export.
func newest(ctx context.Context, o gateway.Service, export string) (operate.View, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	run, err := o.Find(ctx, export)
	if err != nil {
		return operate.View{}, err
	}
	return o.Look(ctx, run)
}

// listed returns the latest run of an export that starter runs lists.
func listed(ctx context.Context, o gateway.Service, export string) (operate.View, bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	views, err := o.Runs(ctx, gateway.RunsRequest{Export: export, Limit: 20})
	i := slices.IndexFunc(views, func(v operate.View) bool { return !v.NoRun() })
	if err != nil || i < 0 {
		return operate.View{}, false
	}
	return views[i], true
}

func scheduleText(e operate.Applied) string {
	text := "off"
	if e.Words != "" {
		text = e.Words
	}
	switch {
	case e.Detached:
		text += "\nno connection"
	case e.Stopped && len(e.Followers) > 0:
		text += fmt.Sprintf("\npaused in Temporal, so nothing starts %q", e.Followers[0])
	case e.Paused:
		text += "\npaused"
	}
	if e.Late != "" {
		text += "\n" + e.Late
	}
	if e.Skipped > 0 {
		text += fmt.Sprintf("\n%s skipped", console.Things(e.Skipped, "start"))
	}
	return text
}

// nextText returns the next starts in the time zone of the schedule, which its words name.
func nextText(e operate.Applied) string {
	if e.Timing == nil {
		return ""
	}
	return strings.Join(operate.Starts(*e.Timing, e.Starts, time.Now()), "\n")
}

func grantText(e operate.Applied) string {
	g, s := e.Grant, e.Standing
	text := "not granted"
	if g != nil {
		text = console.Printable(g.Person.Name) + "\n" + g.Person.Role
	}
	switch {
	case g == nil || s != nil && s.Invalid != "":
		text += "\nnot valid, so its runs fail: starter apply"
	case s != nil && s.NotAllowed != "":
		text += "\nnot allowed any more, so its runs wait: starter apply"
	case s != nil && s.OldSecret:
		text += "\nby an older secret: starter apply"
	}
	return text
}

// local formats a time in the time zone of this machine, which it names.
func local(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// aged returns a time that has passed, and how long ago it was in its largest unit.
func aged(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	age := max(0, now.Sub(t))
	text := fmt.Sprintf("%ds", age/time.Second)
	switch {
	case age >= 48*time.Hour:
		text = fmt.Sprintf("%dd", age/(24*time.Hour))
	case age >= time.Hour:
		text = fmt.Sprintf("%dh", age/time.Hour)
	case age >= time.Minute:
		text = fmt.Sprintf("%dm", age/time.Minute)
	}
	return fmt.Sprintf("%s (%s ago)", local(t), text)
}
