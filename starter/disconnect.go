package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/gateway"
)

func (a *app) disconnectCommand() *cobra.Command {
	var detach bool
	c := &cobra.Command{
		Use:   "disconnect NAME",
		Short: "Withdraw the consent to a connection",
		Long: `Withdraw the consent to a connection: nothing is sent over it any more, beginning
with the next run. Runs under way come to their end; starter cancel stops them. The
entry in connections.yaml stays until somebody takes it out, and so do the lists in
Iterable. starter connect NAME undoes it. Administrators only.

While exports have a schedule over the connection the command refuses, and lists
them. With --detach they are kept, inactive: their schedules are paused with the note
"No connection", until starter move gives them another connection.`,
		Example: `  starter disconnect marketing
  starter disconnect marketing --detach`,
		Args: exactly(1, "the NAME of a connection"),
		RunE: func(c *cobra.Command, args []string) error {
			o, done, err := a.service(c.Context())
			if err != nil {
				return err
			}
			defer done()
			return a.disconnect(c, o, args[0], detach)
		},
	}
	c.Flags().BoolVar(&detach, "detach", false, "keep the exports on it, inactive")
	return c
}

func (a *app) disconnect(c *cobra.Command, o gateway.Service, name string, detach bool) error {
	out, err := o.Disconnect(c.Context(), name, gateway.DisconnectRequest{Detach: detach})
	if err != nil {
		return err
	}
	var names []string
	for _, e := range out.Detached {
		names = append(names, "«"+e.Export+"»")
	}
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), out)
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Disconnected: no run sends over «%s» any more; those under way stop within 100 requests, and wait.\n", name)
	if len(names) > 0 {
		fmt.Fprintf(w, "Inactive until another connection is set: %s\n", strings.Join(names, ", "))
	}
	return nil
}
