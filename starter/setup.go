package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/operate"
)

func (a *app) setupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "setup",
		Short: "Prepare a Temporal namespace: make the search attributes that runs set",
		Long: `Prepare a Temporal namespace: make the search attributes that runs set, so that
Temporal's UI and CLI find runs by export, segment, connection and state. Where
you may not make them, it prints the commands for somebody who may. Runs work
without them.

Exit status: 0 all are there, 1 some are missing.`,
		Example: `  starter setup
  TEMPORAL_NAMESPACE=exports starter setup -o json`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			o, done, err := a.service(c.Context())
			if err != nil {
				return err
			}
			defer done()
			return a.setup(c.Context(), o, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
}

func (a *app) setup(ctx context.Context, o gateway.Service, out, errOut io.Writer) error {
	found, err := o.Setup(ctx)
	if err != nil {
		return err
	}
	all := found.Attributes
	if err := a.showAttributes(out, all); err != nil {
		return err
	}
	complete := true
	for _, at := range all {
		complete = complete && at.Fits()
	}
	if complete {
		return nil
	}
	me, err := o.Me(ctx)
	if err != nil {
		return err
	}
	advise(errOut, me.Namespace, all, found.Refused)
	return status(exitFailed)
}

func (a *app) showAttributes(out io.Writer, all []operate.Attribute) error {
	if a.output == "json" {
		return printJSON(out, all)
	}
	var rows [][]string
	for _, at := range all {
		rows = append(rows, []string{at.Name, at.Type, at.Has})
	}
	console.Table(out, []string{"search attribute", "type", "in the namespace"}, rows)
	return nil
}

// advise says how somebody who may makes what is missing.
func advise(out io.Writer, namespace string, all []operate.Attribute, refused string) {
	var own, cloud []string
	for _, at := range all {
		switch {
		case at.Fits():
		case at.Has != "":
			fmt.Fprintf(out, "%s is of type %s here, and should be %s: runs of this namespace will set none. Remove it first, or use another namespace.\n", at.Name, at.Has, at.Type)
		default:
			own = append(own, fmt.Sprintf("--name %s --type %s", at.Name, at.Type))
			cloud = append(cloud, fmt.Sprintf("--sa \"%s=%s\"", at.Name, at.Type))
		}
	}
	if len(own) == 0 {
		return
	}
	if refused != "" {
		fmt.Fprintf(out, "%s\n\n", refused)
	}
	fmt.Fprintf(out, "Somebody who may has to call, for a Temporal of your own:\n\n")
	fmt.Fprintf(out, "  temporal operator search-attribute create --namespace %s \\\n    %s\n\n", namespace, strings.Join(own, " \\\n    "))
	fmt.Fprintf(out, "or for Temporal Cloud:\n\n")
	fmt.Fprintf(out, "  tcld namespace search-attributes add --namespace %s \\\n    %s\n\n", namespace, strings.Join(cloud, " \\\n    "))
	fmt.Fprintln(out, "Runs work without them, and can't be searched for by export or state.")
}
