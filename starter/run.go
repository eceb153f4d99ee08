package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/access"
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
	awaitData bool
	deadline  time.Duration
	trial     trialFlags
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:     "run [EXPORT]...",
		Aliases: []string{"start", "trigger"},
		Short:   "Run exports now",
		Long: `Run exports now, and follow them until each has ended or waits for an operator.
EXPORT is the name of an applied export. Without EXPORT, the flags define an export of one
segment, which need not be applied. Ctrl-C stops following; the run goes on. Only one run of
an export is under way at a time: a second start joins the first.

A run whose data is not complete waits for it (docs/segments.md). With --wait-for-data, which
is for orchestrators, it also waits for files that do not exist yet, and until no file has
changed for two minutes, as a scheduled run does. If a run is under way that has already
looked at the data, or that does not wait for it, the command starts the other exports, waits
for the end of that run, and then starts another one, which reads what is new. With --detach
as well, such a start is refused.

--only and --limit make a trial: a few profiles, mapped, selected and sent as a run does it,
but to a list of their own, which only suppressed people leave. It prints what became of each
of them (docs/exports.md). --segment then names the segment of an export that has several.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 waiting for an operator, 5 a segment was
skipped because its data was not ready in time.`,
		Example: `  starter run "Spring campaign"
  starter run --all --detach
  starter run "Spring campaign" --wait-for-data
  starter run "Spring campaign" --only ann@example.com,bo@example.com
  starter run "Spring campaign" --limit 10 --list "Test readers"
  starter run --segment "High-value customers" --source segments/high-value \
      --email EmailAddress --connection marketing
  starter run --segment Newsletter --source newsletter.arrow --email contact.email \
      --connection marketing --field City --field LifetimeValue:ltv --detach`,
		RunE: func(c *cobra.Command, args []string) error {
			if f.all && len(args) > 0 {
				return usageError{errors.New("--all and the names of exports exclude each other")}
			}
			var starts []gateway.StartRequest
			tried, err := f.trial.request(c, f, f.segment.Name)
			if err != nil {
				return err
			}
			if tried != nil && len(args) > 1 {
				return usageError{errors.New("a trial is of one export; name one")}
			}
			if len(args) > 0 || f.all {
				if err := f.refuseDefinition(c, tried != nil); err != nil {
					return err
				}
				for _, name := range args {
					starts = append(starts, gateway.StartRequest{Export: name, Full: f.full})
				}
			} else {
				export, err := f.define()
				if err != nil {
					return usageError{err}
				}
				starts = append(starts, gateway.StartRequest{Definition: &export, Full: f.full})
			}
			o, done, err := a.service(c.Context())
			if err != nil {
				return err
			}
			defer done()
			if tried != nil {
				starts[0].Trial, starts[0].Full = tried, false
				return a.try(c, o, starts[0], f)
			}
			for i := range starts {
				starts[i].AwaitData = f.awaitData
			}
			if f.all {
				if starts, err = scheduled(c.Context(), o, f); err != nil {
					return err
				}
			}
			return a.run(c, o, starts, f)
		},
	}
	f.defineFlags(c)
	f.trial.define(c)
	p := c.Flags()
	p.BoolVar(&f.wait, "wait", true, "follow the run")
	p.BoolVar(&f.all, "all", false, "run every export with an active schedule")
	p.BoolVar(&f.awaitData, "wait-for-data", false, "wait until the data is complete, as a scheduled run does")
	p.BoolVar(&f.detach, "detach", false, "start the run and return at once")
	return c
}

// defineFlags adds the flags that define an export.
func (f *runFlags) defineFlags(c *cobra.Command) {
	p := c.Flags()
	p.StringVar(&f.segment.Name, "segment", "", "name of the segment and of its list")
	p.StringVar(&f.segment.Source, "source", "", "file, folder, glob or bucket URL of the segment, as the worker sees it")
	p.Int64Var(&f.segment.ListID, "list-id", 0, "ID of the list, if several have the segment's name")
	p.StringVar(&f.export.Connection, "connection", "", "connection to send over")
	p.StringVar(&f.export.Name, "export", "", "name of the export; default the segment's name")
	p.StringVar(&f.export.Email, "email", "", "column with the e-mail address, such as contact.email")
	p.StringVar(&f.export.UserID, "user-id", "", "column with the user ID")
	p.StringArrayVar(&f.fields, "field", nil, "column to send as a data field, as COLUMN or COLUMN:NAME (repeatable)")
	p.BoolVar(&f.allFields, "all-fields", false, "send every other column as a data field")
	p.BoolVar(&f.full, "full", false, "send all profiles, not only what changed")
	p.DurationVar(&f.deadline, "deadline", 0, "how long to retry before the run waits for an operator; default 24h")
}

// define returns the export that the flags define.
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
		return e, fmt.Errorf("name an applied EXPORT, or define one: the command needs %s", strings.Join(missing, ", "))
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
		column, as, renamed := strings.Cut(field, ":")
		if column == "" || renamed && as == "" {
			return e, fmt.Errorf("invalid --field %q: write COLUMN, or COLUMN:NAME to send it under another name", field)
		}
		e.Fields.List = append(e.Fields.List, schemas.Field{Column: column, As: as})
	}
	if f.allFields && len(f.fields) > 0 {
		return e, errors.New("--all-fields and --field exclude each other")
	}
	e.Deadline = schemas.Duration(f.deadline)
	e.Segments = []schemas.Segment{{Name: f.segment.Name, Source: source, ListID: f.segment.ListID}}
	return e, nil
}

// refuseDefinition refuses flags that define an export. Of a trial, --segment selects one of an
// applied export.
func (runFlags) refuseDefinition(c *cobra.Command, trial bool) error {
	for _, flag := range []string{"segment", "source", "list-id", "connection", "export", "email", "user-id", "field", "all-fields", "deadline"} {
		if c.Flags().Changed(flag) && !(trial && flag == "segment") {
			return usageError{fmt.Errorf("--%s defines an export that was not applied; leave it out, or leave out the names of exports and --all", flag)}
		}
	}
	return nil
}

// scheduled returns the starts of all applied exports. Those without an active schedule are not
// started.
func scheduled(ctx context.Context, o gateway.Service, f runFlags) (starts []gateway.StartRequest, err error) {
	names, err := o.Names(ctx)
	for _, name := range names {
		starts = append(starts, gateway.StartRequest{Export: name, Full: f.full, AwaitData: f.awaitData, Scheduled: true})
	}
	return starts, err
}

// run starts exports and, unless told otherwise, follows their runs.
func (a *app) run(c *cobra.Command, o gateway.Service, starts []gateway.StartRequest, f runFlags) error {
	var runs []operate.Run
	var follow []watch
	failed, follows, joined := false, !f.detach && f.wait, map[operate.Run]bool{}
	for _, in := range starts {
		started, err := o.Start(c.Context(), in)
		switch {
		case started.Unscheduled:
			continue
		case follows && access.IsRefused(err, schemas.ErrorHasLooked):
			fmt.Fprintf(c.ErrOrStderr(), "A run of %q is under way that may not have the newest data. This waits for its end, and then starts another one.\n", exportOf(in))
			follow = append(follow, startAfter(o, in))
			continue
		case err != nil && len(starts) == 1:
			return err
		case err != nil:
			fmt.Fprintln(c.ErrOrStderr(), "starter:", err)
			failed = true
			continue
		case started.Joined:
			fmt.Fprintf(c.ErrOrStderr(), "A run of %q is already under way; this joins it.\n", started.Export)
			joined[started.Run] = true
		}
		if started.Follows != "" {
			fmt.Fprintf(c.ErrOrStderr(), "%q starts at once with the others, although it is %s: only scheduled refreshes keep the order.\n", in.Export, started.Follows)
		}
		runs, follow = append(runs, started.Run), append(follow, watched(o, started.Run))
	}
	if f.all && !failed && len(follow) == 0 {
		return errors.New("no export has an active schedule; starter exports lists them")
	}
	var err error
	if follows {
		err = a.followAll(c, follow)
	} else {
		err = a.showStarted(c, runs, joined)
	}
	var reported status
	if failed && (err == nil || errors.As(err, &reported)) {
		return status(exitFailed)
	}
	return err
}

func exportOf(in gateway.StartRequest) string {
	if in.Definition != nil {
		return in.Definition.Name
	}
	return in.Export
}

// startAfter returns a watch that starts a run as soon as those have ended that may not have
// read the newest data. It ends with one of those if that waits for an operator.
func startAfter(o gateway.Service, in gateway.StartRequest) watch {
	in.Scheduled = false // it is
	return watch{exportOf(in), func(ctx context.Context, see func(operate.View, error)) (operate.View, error) {
		for {
			run, err := o.Find(ctx, exportOf(in))
			if err != nil {
				return operate.View{}, err
			}
			if v, err := o.Watch(ctx, run, true, see); err != nil || !v.Ended() {
				return v, err
			}
			started, err := o.Start(ctx, in)
			switch {
			case err == nil:
				return o.Watch(ctx, started.Run, true, see)
			case !access.IsRefused(err, schemas.ErrorHasLooked):
				return operate.View{}, err
			}
		}
	}}
}

// showStarted prints runs that are not followed. Those in joined were under way already.
func (a *app) showStarted(c *cobra.Command, runs []operate.Run, joined map[operate.Run]bool) error {
	if a.structured() {
		return a.encode(c.OutOrStdout(), runs)
	}
	for _, run := range runs {
		what := "Started"
		if joined[run] {
			what = "Under way"
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: run %s. Follow it with: starter status --follow %s\n", what, run.RunID, schemas.ShellWord(run.Export))
	}
	return nil
}
