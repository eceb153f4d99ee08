package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

type runFlags struct {
	export    schemas.Export
	segment   schemas.Segment
	fields    []string
	allFields bool
	full      bool
	detach    bool
	wait      bool
	all       bool
	deadline  time.Duration
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [EXPORT]...",
		Short: "Run exports now",
		Long: `Run exports now, and follow them until each has ended or waits for an operator.
EXPORT is the name of an export that was applied, which runs as it was applied; with
flags instead, an export of one segment runs that nobody has to apply. Ctrl-C stops
following; the run goes on. One run of an export goes on at a time: a second start
joins the first.`,
		Example: `  starter run "Spring campaign"
  starter run --all --detach
  starter run --segment "High-value customers" --source segments/high-value \
      --email EmailAddress --connection marketing
  starter run --segment Newsletter --source newsletter.arrow --email contact.email \
      --connection marketing --field City --field LifetimeValue:ltv --detach`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 || f.all {
				return a.runApplied(c, args, f)
			}
			export, err := f.define()
			if err != nil {
				return usageError{err}
			}
			return a.run(c, export, f)
		},
	}
	f.defineFlags(c)
	p := c.Flags()
	p.BoolVar(&f.wait, "wait", true, "follow the run")
	p.BoolVar(&f.all, "all", false, "run every export that has an active schedule")
	p.BoolVar(&f.detach, "detach", false, "start the run and return at once")
	return c
}

// defineFlags makes the flags that describe an export.
func (f *runFlags) defineFlags(c *cobra.Command) {
	p := c.Flags()
	p.StringVar(&f.segment.Name, "segment", "", "name of the segment, and so of the list")
	p.StringVar(&f.segment.Source, "source", "", "file, folder, glob or bucket URL that holds the segment, as the worker sees it")
	p.Int64Var(&f.segment.ListID, "list-id", 0, "list to fill, where several bear the segment's name")
	p.StringVar(&f.export.Connection, "connection", "", "connection to send over")
	p.StringVar(&f.export.Name, "export", "", "name of the export; default the segment's name")
	p.StringVar(&f.export.Email, "email", "", "column that holds the e-mail address, such as contact.email")
	p.StringVar(&f.export.UserID, "user-id", "", "column that holds the user id")
	p.StringArrayVar(&f.fields, "field", nil, "further column to send, as COLUMN or COLUMN:NAME (repeatable)")
	p.BoolVar(&f.allFields, "all-fields", false, "send every further column")
	p.BoolVar(&f.full, "full", false, "send everybody, not only what changed")
	p.DurationVar(&f.deadline, "deadline", 0, "how long to keep trying before an operator is asked; default 24h")
}

// define makes an export of the flags.
func (f runFlags) define() (schemas.Export, error) {
	e := f.export
	var missing []string
	for _, m := range []struct{ flag, value string }{
		{"--segment", f.segment.Name}, {"--source", f.segment.Source}, {"--connection", e.Connection},
		{"--email (or --user-id)", e.Email + e.UserID},
	} {
		if m.value == "" {
			missing = append(missing, m.flag)
		}
	}
	if len(missing) > 0 {
		return e, fmt.Errorf("name an EXPORT that was applied, or describe one: the command needs %s", strings.Join(missing, ", "))
	}
	if e.Name == "" {
		e.Name = f.segment.Name
	}
	source := f.segment.Source
	if !strings.Contains(source, "://") {
		abs, err := filepath.Abs(source)
		if err != nil {
			return e, fmt.Errorf("--source %s: %w", source, err)
		}
		source = abs
	}
	e.Fields.All = f.allFields
	for _, field := range f.fields {
		column, as, _ := strings.Cut(field, ":")
		e.Fields.List = append(e.Fields.List, schemas.Field{Column: column, As: as})
	}
	if f.allFields && len(f.fields) > 0 {
		return e, errors.New("--all-fields and --field exclude each other")
	}
	e.Deadline = schemas.Duration(f.deadline)
	e.Segments = []schemas.Segment{{Name: f.segment.Name, Source: source, ListID: f.segment.ListID}}
	return e, nil
}

// run starts the export and, unless told otherwise, follows it.
func (a *app) run(c *cobra.Command, export schemas.Export, f runFlags) error {
	o, done, err := a.service(c.Context())
	if err != nil {
		return err
	}
	defer done()
	started, err := o.Start(c.Context(), gateway.StartRequest{Definition: &export, Full: f.full})
	if err != nil {
		return err
	}
	run := started.Run
	if started.Joined {
		tellJoined(c, run)
	}
	if f.detach || !f.wait {
		if a.output == "json" {
			return printJSON(c.OutOrStdout(), run)
		}
		fmt.Fprintf(c.OutOrStdout(), "Started: run %s. Follow it with: starter watch %s\n", run.RunID, schemas.ShellWord(export.Name))
		return nil
	}
	return a.follow(c, o, run)
}

// follow shows a run's progress until it has ended or waits, and then how it
// stands.
func (a *app) follow(c *cobra.Command, o gateway.Service, run operate.Run) error {
	progress := console.NewProgress(c.ErrOrStderr())
	v, err := o.Watch(c.Context(), run, true, progress.See)
	progress.Close()
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(c.ErrOrStderr(), "No longer following; the run goes on. See it with: starter status %s\n", schemas.ShellWord(run.Export))
		return nil
	}
	if err != nil {
		return err
	}
	return a.tell(c, v)
}
