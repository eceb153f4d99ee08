package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/gateway"
)

func (a *app) moveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "move EXPORT CONNECTION",
		Short: "Give an export's name to another connection",
		Long: `Give an export's name to another connection. A name belongs to the connection that it
was first applied or run with, and to no other until somebody moves it who may use both.
The next run begins anew there: all profiles are sent. The lists of the project before
stay as they are, and what the data root holds of them until the export is removed. While
a run is under way the command refuses. Change the connection in the file as well.`,
		Example: `  starter move "Spring campaign" marketing-eu`,
		Args:    exactly(2, "an EXPORT and a CONNECTION"),
		RunE: func(c *cobra.Command, args []string) error {
			o, done, err := a.service(c.Context())
			if err != nil {
				return err
			}
			defer done()
			moved, err := o.Move(c.Context(), args[0], gateway.MoveRequest{Connection: args[1]})
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), moved)
			}
			fmt.Fprintf(c.OutOrStdout(), "Moved: «%s» belongs to connection «%s».\n", moved.Export, moved.Connection)
			return nil
		},
	}
}
