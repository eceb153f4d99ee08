package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
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
"No connection", until another connection is set for them.`,
		Example: `  starter disconnect marketing
  starter disconnect marketing --detach`,
		Args: exactly(1, "the NAME of a connection"),
		RunE: func(c *cobra.Command, args []string) error {
			o, done, err := a.operator(c.Context())
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

func (a *app) disconnect(c *cobra.Command, o *operate.Operator, name string, detach bool) error {
	all, err := o.Connected(c.Context())
	if err != nil {
		return err
	}
	var using []operate.Connected
	var names []string
	for _, e := range all[name] {
		if !e.Detached {
			using = append(using, e)
			names = append(names, "«"+e.Export+"»")
		}
	}
	if len(using) > 0 && !detach {
		return fmt.Errorf("connection «%s» is used by %s: %s; set another connection there or remove what uses it, or keep it inactive with: starter disconnect %s --detach",
			name, console.Things(len(using), "export"), strings.Join(names, ", "), schemas.ShellWord(name))
	}
	// The worker says whether one may, so it comes before the schedules.
	consent, err := o.Disconnect(c.Context(), name)
	if err != nil {
		return err
	}
	if err := o.Detach(c.Context(), consent, using); err != nil {
		return err
	}
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), map[string]any{"consent": consent, "detached": using})
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Disconnected: no run sends over «%s» any more; those under way stop within 100 requests, and wait.\n", name)
	if len(using) > 0 {
		fmt.Fprintf(w, "Inactive until another connection is set: %s\n", strings.Join(names, ", "))
	}
	return nil
}
