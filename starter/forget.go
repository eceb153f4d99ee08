package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"iterable-segment-export/internal/console"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/schemas"
)

// stillThere says what forgetting does not do.
const stillThere = `Iterable is not changed: the person stays on these lists, and no run removes them from there
any more. To have runs remove them, add them to a suppression list and run these exports first
(docs/suppression.md); or delete the user in Iterable.`

// comesBack says what may follow.
const comesBack = `A run sends the person again, as a new profile, if a segment's source still has them. To prevent
that, delete them there, or keep them on a suppression list.`

// errNotForgotten is the error of files that could not be searched.
var errNotForgotten = errors.New("not everything was searched, so the person may be left there; repeat the command when that is settled")

// forget removes a person from the data root, after showing where they are.
func (a *app) forget(c *cobra.Command, o gateway.Service, person string, yes bool) error {
	if !yes {
		found, err := o.FindPerson(c.Context(), schemas.FindRequest{Person: person, History: true})
		if err != nil {
			return err
		}
		w := c.ErrOrStderr()
		showFound(w, found, true)
		if len(found.Lists) > 0 {
			fmt.Fprintf(w, "\n%s\n", stillThere)
		}
		fmt.Fprintf(w, "\n%s\n\n", comesBack)
		if err := confirm(c, "--yes", "Remove the person from snapshots, records, rejects and examples?"); err != nil {
			return err
		}
	}
	out, err := o.ForgetPerson(c.Context(), schemas.ForgetRequest{Person: person})
	if err != nil {
		return err
	}
	if a.structured() {
		err = a.encode(c.OutOrStdout(), out)
	} else {
		showForgotten(c.OutOrStdout(), out)
	}
	if err == nil && !out.Complete() {
		return errNotForgotten
	}
	return err
}

// showForgotten prints what was removed of a person, and where.
func showForgotten(w io.Writer, f schemas.ForgetAnswer) {
	if len(f.Files) == 0 {
		fmt.Fprintf(w, "Nothing was removed: no file has the person. Searched %s.\n", console.Things(f.Searched, "file"))
	} else {
		var rows [][]string
		var others int64
		for _, in := range f.Files {
			rows = append(rows, []string{in.Kind, in.Export, in.Segment, in.RunID, fmt.Sprint(in.Rows)})
			others += in.Others
		}
		console.Table(w, []string{"removed from", "export", "segment", "run", "rows"}, rows)
		fmt.Fprintf(w, "\nSearched %s.\n", console.Things(f.Searched, "file"))
		if others > 0 {
			fmt.Fprintf(w, "%s had another address or user ID beside this one: forget that one as well.\n", console.Things(int(others), "removed row"))
		}
	}
	if len(f.Lists) > 0 {
		fmt.Fprint(w, "\nStill on these lists in Iterable:\n\n")
		showLists(w, f.Lists)
		fmt.Fprintf(w, "\n%s\n", stillThere)
	}
	if len(f.Files) > 0 {
		fmt.Fprintf(w, "\n%s\n", comesBack)
	}
	for _, run := range f.Unfinished {
		if run.Export == "" {
			fmt.Fprintf(w, "\nNot searched: a run has not finished (%s). Repeat this when it has.\n", run.Folder)
			continue
		}
		fmt.Fprintf(w, "\nNot searched: run %s of export %q, segment %q has not finished (starter status %s). Repeat this when it has.\n",
			run.RunID, run.Export, run.Segment, schemas.ShellWord(run.Export))
	}
	for _, key := range f.Unreadable {
		fmt.Fprintf(w, "\nCould not search %s\n", console.Printable(key))
	}
}
