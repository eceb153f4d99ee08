package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/schemas"
)

type duplicateFlags struct {
	connection string
	segments   []string
	apply      bool
}

func (a *app) duplicateCommand() *cobra.Command {
	var f duplicateFlags
	c := &cobra.Command{
		Use: "duplicate EXPORT NEW", Short: "Make a copy of an export under another name",
		Long: `Make a copy of an export under another name, and print it, to be put into the file
of exports; --apply applies it as well. Two exports can't feed one list of one
connection, so the copy takes another connection, or other names for its segments.`,
		Example: `  starter duplicate "Spring campaign" "Spring campaign EU" --connection marketing-eu
  starter duplicate "Spring campaign" "Autumn campaign" --segment "High-value customers=High-value in autumn" --apply`,
		Args: exactly(2, "the names of an EXPORT and of its copy"),
		RunE: func(c *cobra.Command, args []string) error { return a.duplicate(c, args[0], args[1], f) },
	}
	c.Flags().StringVar(&f.connection, "connection", "", "connection of the copy")
	c.Flags().StringArrayVar(&f.segments, "segment", nil, "other name for a segment, as OLD=NEW (repeatable)")
	c.Flags().BoolVar(&f.apply, "apply", false, "apply the copy")
	return c
}

func (a *app) duplicate(c *cobra.Command, name, as string, f duplicateFlags) error {
	o, done, err := a.service(c.Context())
	if err != nil {
		return err
	}
	defer done()
	applied, err := o.Exports(c.Context())
	if err != nil {
		return err
	}
	e, err := o.Export(c.Context(), name)
	if err != nil {
		return err
	}
	if strings.TrimSpace(as) == "" || strings.Contains(as, "/") {
		return usageError{fmt.Errorf("%q is no name for an export: it is empty or has a / in it", as)}
	}
	if slices.ContainsFunc(applied, func(o operate.Applied) bool { return o.Export.Name == as }) {
		return fmt.Errorf("there is an export «%s» already", as)
	}
	copied, err := f.copyOf(e.Export, as)
	if err != nil {
		return usageError{err}
	}
	// The copy follows the same times, wherever they came from.
	file := schemas.Exports{Exports: []schemas.Export{copied}, Refresh: e.Timing}
	request := gateway.PlanRequest{File: file}
	plan, err := o.Plan(c.Context(), request)
	if err != nil {
		return fmt.Errorf("%w; for the copy that is --segment OLD=NEW or --connection", err)
	}
	if f.apply {
		request.Plan = plan.ID
		if plan, err = o.Apply(c.Context(), request); err != nil {
			return err
		}
		if plan.Failed > 0 {
			return errors.New(plan.Steps[0].Error)
		}
	}
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), map[string]any{"export": copied, "applied": f.apply})
	}
	text, err := json.Marshal([]schemas.Export{copied})
	if err == nil {
		text, err = yaml.JSONToYAML(text)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s the file of exports:\n", map[bool]string{true: "Applied. Put this into", false: "To be put into"}[f.apply])
	_, err = c.OutOrStdout().Write(text)
	return err
}

// copyOf makes the copy.
func (f duplicateFlags) copyOf(e schemas.Export, as string) (schemas.Export, error) {
	e.Name, e.Segments = as, slices.Clone(e.Segments)
	if f.connection != "" {
		e.Connection = f.connection
	}
	for _, rename := range f.segments {
		old, name, ok := strings.Cut(rename, "=")
		i := slices.IndexFunc(e.Segments, func(s schemas.Segment) bool { return s.Name == old })
		if !ok || name == "" || i < 0 {
			var names []string
			for _, s := range e.Segments {
				names = append(names, s.Name)
			}
			return e, fmt.Errorf("--segment %q: write OLD=NEW, where OLD is a segment of the export%s", rename, spelling.Guess(old, names))
		}
		e.Segments[i].Name, e.Segments[i].ListID = name, 0
	}
	return e, nil
}
