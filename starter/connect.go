package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/schemas"
)

func (a *app) connectCommand() *cobra.Command {
	var agree bool
	c := &cobra.Command{
		Use:   "connect NAME",
		Short: "Agree to the transfer over a connection, and check its key",
		Long: `Agree to the transfer over a connection, and check its key.

NAME is a connection of the worker's connections.yaml. The command shows the data
privacy and compliance statement and asks whether you agree; the worker then checks
that Iterable accepts the key, for reading and for writing, and keeps in the data
root who has agreed, when and to what. Before that, nothing is sent over the
connection. Administrators only.`,
		Example: `  starter connect marketing
  starter connect marketing --agree`,
		Args: exactly(1, "the NAME of a connection"),
		RunE: func(c *cobra.Command, args []string) error {
			o, done, err := a.service(c.Context())
			if err != nil {
				return err
			}
			defer done()
			return a.connect(c, o, args[0], agree)
		},
	}
	c.Flags().BoolVar(&agree, "agree", false, "agree to the statement without being asked")
	return c
}

func (a *app) connect(c *cobra.Command, o gateway.Service, name string, agree bool) error {
	fmt.Fprintf(c.ErrOrStderr(), "%s\n\n", schemas.ConsentStatement)
	if !agree {
		if err := confirm(c, fmt.Sprintf("Do you agree, for connection «%s»? Type yes:", name), "--agree"); err != nil {
			return err
		}
	}
	check, err := o.CheckConnection(c.Context(), name)
	if err != nil {
		return err
	}
	if check.Error != "" {
		return fmt.Errorf("the key of connection «%s» can't be used, so nothing was recorded: %s", name, check.Error)
	}
	consent, err := o.Connect(c.Context(), name, gateway.ConnectRequest{Statement: schemas.ConsentStatementSHA256()})
	if err != nil {
		return err
	}
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), map[string]any{"check": check, "consent": consent})
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Iterable (%s) accepts the key: a project of type %s with %d lists and %d fields.\n", consent.Host, check.ProjectType, check.Lists, check.Fields)
	fmt.Fprintf(w, "Connected: «%s», agreed to by %s at %s (statement %.12s).\n", name, consent.By, consent.At.Format(time.RFC3339), consent.SHA256)
	return nil
}

// confirm asks a question and wants "yes". The flag is the one that spares it.
func confirm(c *cobra.Command, question, flag string) error {
	fmt.Fprint(c.ErrOrStderr(), question+" ")
	line, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(line), "yes") {
		fmt.Fprintln(c.ErrOrStderr())
		return fmt.Errorf("not agreed, so nothing was changed; type yes, or use %s", flag)
	}
	return nil
}
