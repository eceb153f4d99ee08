package console

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"iterable-segment-export/schemas"
)

// Checked is the result of checking one segment, with examples.
type Checked struct {
	schemas.ExportReport
	Examples *schemas.Examples `json:"examples,omitempty"`
}

// Mask hides the addresses and user IDs of examples but for their first letters.
func Mask(e *schemas.Examples) {
	for _, examples := range [][]schemas.Example{e.Adds, e.Updates, e.Removals, e.Rejects} {
		for i := range examples {
			x := &examples[i]
			x.Email, x.UserID, x.Value = masked(x.Email), masked(x.UserID), masked(x.Value)
		}
	}
}

// Check prints what a run would do with one segment.
func Check(w io.Writer, s Checked) {
	m, r := s.Manifest, s.Check
	if s.Divided != nil {
		showDivided(w, s)
		return
	}
	if r == nil {
		fmt.Fprintf(w, "%q could not be checked: %s\n\n", s.Segment, s.Error)
		return
	}
	list := fmt.Sprintf("to list %d", s.ListID)
	if r.NoList {
		list = "to a new list"
	}
	fmt.Fprintf(w, "%q, %s: what a run would do\n\n", s.Segment, list)
	var rows [][]string
	add := func(what string, n int64) { rows = append(rows, []string{what, humanize.Comma(n)}) }
	if t := s.Info.Table; t != nil {
		add("version of the "+t.Format+" table", t.Version)
	}
	add("rows read", m.Read)
	if m.Filtered > 0 {
		add("filtered", m.Filtered)
	}
	m.Skipped.Each(add)
	add("add", m.Adds)
	add("update", m.Updates)
	add("remove", m.Removals)
	add("leave unchanged", m.Unchanged)
	add("duplicates", m.Duplicates)
	if m.Suppressed > 0 {
		add("leave out: suppressed", m.Suppressed)
	}
	if m.SuppressedRemovals > 0 {
		add("remove: suppressed, of those above", m.SuppressedRemovals)
	}
	for _, reason := range slices.Sorted(maps.Keys(m.Rejected)) {
		add("reject: "+string(reason), m.Rejected[reason])
	}
	for _, l := range m.LeftOut {
		add(fmt.Sprintf("left out of %s: %s", l.Column, l.Reason), l.Count)
	}
	add("requests", r.Requests)
	rows = append(rows, []string{"time to send", time.Duration(r.Estimate).String()})
	Table(w, []string{"", "profiles"}, rows, "profiles")
	fmt.Fprintln(w)
	if r.Unready != "" {
		fmt.Fprintf(w, "A run would wait for its data: %s\n", r.Unready)
	}
	for _, g := range r.Guardrails {
		fmt.Fprintf(w, "A run would wait for starter approve: %s\n", g)
	}
	for _, c := range r.Clashes {
		fmt.Fprintf(w, "A run would wait for a correction: %s\n", c)
	}
	if len(r.NewFields) > 0 {
		fmt.Fprintf(w, "A run would create %s in Iterable, where a field can't be removed. A scheduled run follows newFields.\n", schemas.FieldNames(r.NewFields))
	}
	if r.SentAgain != "" {
		fmt.Fprintf(w, "A run would send all profiles again: %s. A scheduled run follows fullRuns.\n", r.SentAgain)
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(w, "Warning: %s\n", warning)
	}
	if s.Examples != nil {
		showExamples(w, s.Examples)
	}
}

// showDivided prints how a segment's rows are divided among its lists.
func showDivided(w io.Writer, s Checked) {
	d := s.Divided
	fmt.Fprintf(w, "%q has %s:\n\n", s.Segment, Things(len(d.Lists), "list"))
	var rows [][]string
	add := func(what string, n int64) { rows = append(rows, []string{what, humanize.Comma(n)}) }
	for _, list := range d.Lists {
		what := fmt.Sprintf("%q", list.List)
		if list.Vanished {
			what += ", which no row is for any more"
		}
		if list.Kept {
			what += ", which no row is for any more, stays but for suppressed members"
		}
		add(what, list.Rows)
	}
	for _, list := range d.Kept {
		add(fmt.Sprintf("%q, which no row is for any more, stays as it is", list), 0)
	}
	if d.MoreKept > 0 {
		add(fmt.Sprintf("and %s that stay as they are", Things(d.MoreKept, "list")), 0)
	}
	if s.Manifest.Filtered > 0 {
		add("filtered", s.Manifest.Filtered)
	}
	s.Manifest.Skipped.Each(add)
	if d.WithoutValue > 0 {
		add("without a value: on no list", d.WithoutValue)
	}
	if d.HeldOut > 0 {
		add("held out", d.HeldOut)
	}
	add("rows read", s.Manifest.Read)
	Table(w, []string{"", "rows"}, rows, "rows")
	for _, warning := range s.Warnings {
		fmt.Fprintf(w, "Warning: %s\n", warning)
	}
	fmt.Fprintln(w)
}

func showExamples(w io.Writer, e *schemas.Examples) {
	var rows [][]string
	for _, kind := range []struct {
		what     string
		examples []schemas.Example
	}{{"add", e.Adds}, {"update", e.Updates}, {"remove", e.Removals}, {"reject", e.Rejects}} {
		for _, x := range kind.examples {
			who, why := strings.Trim(x.Email+" "+x.UserID, " "), ""
			if kind.what == "reject" {
				who = x.Value
				why = fmt.Sprintf("%s: %s (%s, row %d)", x.Reason, x.Reason.Sentence(), x.File, x.Row)
			}
			rows = append(rows, []string{kind.what, Printable(who), why})
		}
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		Table(w, []string{"example", "who", "why"}, rows)
	}
	fmt.Fprintln(w)
}
