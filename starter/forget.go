package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/people"
)

// errNotForgotten is the error of files that could not be searched.
var errNotForgotten = errors.New("not everything was searched, so the person may be left there; repeat the command when that is settled")

// forget removes a person from the data root, after showing where they are.
func (a *app) forget(c *cobra.Command, o gateway.Service, person string, yes bool) error {
	if !yes {
		found, err := o.ForgetPerson(c.Context(), people.ForgetRequest{Person: person, Preview: true})
		if err != nil {
			return err
		}
		w := c.ErrOrStderr()
		console.Forgotten(w, found, true)
		fmt.Fprintln(w)
		if err := confirm(c, "--yes", "Remove the person from snapshots, records, rejects and examples?"); err != nil {
			return err
		}
	}
	out, err := o.ForgetPerson(c.Context(), people.ForgetRequest{Person: person})
	if err != nil {
		return err
	}
	if a.structured() {
		err = a.encode(c.OutOrStdout(), out)
	} else {
		console.Forgotten(c.OutOrStdout(), out, false)
	}
	if err == nil && !out.Complete() {
		return errNotForgotten
	}
	return err
}
