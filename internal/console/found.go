package console

import (
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"

	"iterable-segment-export/internal/people"
	"iterable-segment-export/schemas"
)

// stillThere says what removing a person from the data root does not do.
const stillThere = `Iterable is not changed: the person stays on these lists, and no run removes them from there
any more. To have runs remove them, add them to a suppression list and run these exports first
(docs/suppression.md); or delete the user in Iterable.`

// comesBack says what may follow.
const comesBack = `A run sends the person again, as a new profile, if a segment's source still has them. To prevent
that, delete them there, or keep them on a suppression list.`

// Found prints where a person is.
func Found(w io.Writer, f people.Found, history bool) {
	switch {
	case len(f.Lists) == 0:
		fmt.Fprintln(w, "No export has put this person on a list.")
	case history:
		sinceWhen(w, f.Lists)
	default:
		foundLists(w, f.Lists)
	}
	if len(f.NotOn) > 0 {
		var rows [][]string
		for _, r := range f.NotOn {
			why := string(r.Outcome)
			if r.Reason != "" {
				why += ": " + string(r.Reason)
			}
			rows = append(rows, []string{r.Export, r.Segment, why, Printable(r.Column), Stamp(r.At)})
		}
		fmt.Fprint(w, "\nNot on these lists, by the newest record with the person:\n\n")
		Table(w, []string{"export", "segment", "why", "column", "time"}, rows)
	}
	if f.Unexplained > 0 {
		list := "list"
		if len(f.Lists)+len(f.NotOn) > 0 {
			list = "other list"
		}
		fmt.Fprintf(w, "\nNot on %s, and no record that is kept says why: the person may not be in the segment,\nor not match its condition, which only record: all records.\n", Things(f.Unexplained, list))
	}
	if len(f.Rows) > 0 {
		var rows [][]string
		for _, r := range f.Rows {
			rows = append(rows, []string{Stamp(r.At), r.Export, r.Segment, string(r.Outcome), string(r.Reason), Printable(r.Column), r.RunID})
		}
		fmt.Fprint(w, "\nIn each run, the newest first:\n\n")
		Table(w, []string{"time", "export", "segment", "outcome", "reason", "column", "run"}, rows)
	}
	fmt.Fprintf(w, "\nSearched %s", Things(f.Snapshots, "list"))
	if history {
		fmt.Fprintf(w, " and %s", Things(f.Records, "record"))
	}
	fmt.Fprintf(w, ": %s, %s.\n", Things(int(f.Reads), "read"), humanize.Bytes(uint64(f.Bytes)))
	if !history {
		fmt.Fprintln(w, "Since which run, when last sent, or why not: add --history, which reads the records of past runs.")
	}
	if f.Unfinished > 0 {
		fmt.Fprintf(w, "Not searched: what %s added that did not finish, or has not yet.\n", Things(f.Unfinished, "run"))
	}
	for _, key := range f.Unreadable {
		fmt.Fprintf(w, "Could not search %s\n", Printable(key))
	}
}

// foundLists prints the lists that a person is on.
func foundLists(w io.Writer, lists []people.FoundList) {
	var rows [][]string
	for _, l := range lists {
		rows = append(rows, []string{l.Export, l.Segment, fmt.Sprint(l.ListID), listState(l), Stamp(l.At), l.RunID})
	}
	Table(w, []string{"export", "segment", "list", "state", "as of", "run"}, rows)
}

func listState(l people.FoundList) string {
	if l.Unconfirmed {
		return "perhaps on the list"
	}
	return "on the list"
}

// sinceWhen prints the lists that a person is on, with what the records say, and what they do not.
func sinceWhen(w io.Writer, lists []people.FoundList) {
	var rows [][]string
	for _, l := range lists {
		row := []string{l.Export, l.Segment, fmt.Sprint(l.ListID), listState(l), "not known", "", "not known"}
		if l.Since != nil {
			row[4], row[5] = Stamp(l.Since.At), l.Since.RunID
		}
		if !l.LastSent.IsZero() {
			row[6] = Stamp(l.LastSent)
		}
		rows = append(rows, row)
	}
	Table(w, []string{"export", "segment", "list", "state", "since", "run", "last sent"}, rows)
	for _, l := range lists {
		if l.Since != nil {
			continue
		}
		kept := "no record of a run is kept"
		if !l.RecordsFrom.IsZero() {
			kept = "the records that are kept begin with the run that ended at " + Stamp(l.RecordsFrom) + ", and none has it"
		}
		fmt.Fprintf(w, "\nWhen the person came onto the list of segment %q of export %q is not known: %s.\n", l.Segment, l.Export, kept)
	}
}

// Stamp returns a time in UTC to the second, or nothing for the zero time.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return schemas.Moment(t)
}

// Forgotten prints what was removed of a person, and where; with preview, what would be.
func Forgotten(w io.Writer, f people.ForgetAnswer, preview bool) {
	where, nothing := "removed from", "Nothing was removed"
	if preview {
		where, nothing = "to remove from", "Nothing to remove"
	}
	if len(f.Files) == 0 {
		fmt.Fprintf(w, "%s: no file has the person. Searched %s.\n", nothing, Things(f.Searched, "file"))
	} else {
		var rows [][]string
		var others int64
		for _, in := range f.Files {
			rows = append(rows, []string{in.Kind, in.Export, in.Segment, in.RunID, fmt.Sprint(in.Rows)})
			others += in.Others
		}
		Table(w, []string{where, "export", "segment", "run", "rows"}, rows)
		fmt.Fprintf(w, "\nSearched %s.\n", Things(f.Searched, "file"))
		if others > 0 {
			fmt.Fprintf(w, "Of these rows, %d have another address or user ID beside this one: forget that one as well.\n", others)
		}
	}
	if len(f.Lists) > 0 {
		fmt.Fprint(w, "\nStill on these lists in Iterable:\n\n")
		foundLists(w, f.Lists)
		fmt.Fprintf(w, "\n%s\n", stillThere)
	}
	if len(f.Files) > 0 || preview {
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
		fmt.Fprintf(w, "\nCould not search or rewrite %s\n", Printable(key))
	}
	if f.Interrupted != "" {
		fmt.Fprintf(w, "\nInterrupted, so the rest was not searched: %s. Repeat this.\n", Printable(f.Interrupted))
	}
}
