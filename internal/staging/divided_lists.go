package staging

import (
	"fmt"
	"slices"
	"strings"

	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// Known is what is known of a divided segment before its rows are read.
type Known struct {
	// Lists are the lists that may have members.
	Lists []string
	// Suppresses is set if the connection has suppression lists. Then the lists that stay as they
	// are have runs too, which remove the suppressed members.
	Suppresses bool
	// Suppressed are the entries of the suppression lists.
	Suppressed *suppression.Set
	// Emptied are the lists that have been emptied since Divide has read their linkedFile.
	Emptied []string
}

// MostKnown is the most lists of a segment that may have members, also of values that have vanished.
// Every search for a person looks at all of them.
const MostKnown = 10_000

// lists finds the lists of the segment, with those that no row is for since they were known.
func (d *division) lists(known Known) error {
	s, out := d.in.Segment, &d.result.Divided
	present := map[string]string{} // by name in lower case, as Iterable compares names
	for _, list := range s.Lists() {
		if other, ok := present[strings.ToLower(list)]; ok {
			return step.NeedOperator(schemas.ErrorBadExport, fmt.Sprintf("segment %q: lists %q and %q differ only in case, and Iterable does not tell such lists apart; abort, and rename one of the groups", s.Name, other, list))
		}
		present[strings.ToLower(list)] = list
	}
	for folded, n := range d.named {
		present[folded] = n.list
	}
	for _, list := range present {
		out.Lists = append(out.Lists, schemas.ListPart{List: list, Rows: d.index.Parts[list].Rows})
	}
	var kept []string
	for _, list := range known.Lists {
		now, ok := present[strings.ToLower(list)]
		keep := s.Vanished == schemas.VanishedKeep || d.in.Export.Mode == schemas.ModeAppend
		switch {
		case now == list:
		case ok:
			return step.NeedOperator(schemas.ErrorColumn, fmt.Sprintf("segment %q: list %q has other members than list %q of earlier runs, from which it differs only in case, and Iterable does not tell such lists apart; use the earlier case and retry, or abort",
				s.Name, now, list))
		case keep && !known.Suppresses:
			kept = append(kept, list)
		default:
			out.Lists = append(out.Lists, schemas.ListPart{List: list, Vanished: !keep, Kept: keep})
		}
	}
	slices.SortFunc(out.Lists, func(a, b schemas.ListPart) int { return strings.Compare(a.List, b.List) })
	for _, list := range out.Lists {
		p := d.index.Parts[list.List]
		p.Kept = list.Kept
		d.index.Parts[list.List] = p
	}
	if n := len(out.Lists); n > schemas.LargestMaxLists {
		return step.NeedOperator(schemas.ErrorColumn, fmt.Sprintf("segment %q has %d lists, %d of them from earlier runs and without rows now, and a run can have %d; correct the data and retry, or abort, and make lists of fewer values or in several exports",
			s.Name, n, n-len(present), schemas.LargestMaxLists))
	}
	if n := len(out.Lists) + len(kept); n > MostKnown {
		return step.NeedOperator(schemas.ErrorColumn, fmt.Sprintf("segment %q has had %d lists, which have to be known as long as they have members, and a segment can have %d; abort, and give the segment another name: the old lists stay as they are",
			s.Name, n, MostKnown))
	}
	if len(out.Lists) == 0 && !d.in.Export.Guardrails.AllowEmpty {
		return step.NeedOperator(schemas.ErrorColumn, fmt.Sprintf("segment %q: none of its %d rows has a value in column %q, so it has no list (guardrails.allowEmpty); correct the data and retry, or abort",
			s.Name, d.result.Manifest.Selected(), s.ForEach))
	}
	d.warn(kept)
	return nil
}

// mostKept is how many kept lists are named.
const mostKept = 20

// warn adds warnings about rows without a list and lists without rows.
func (d *division) warn(kept []string) {
	add := func(format string, args ...any) {
		d.result.Manifest.Warnings = append(d.result.Manifest.Warnings, fmt.Sprintf(format, args...))
	}
	out := &d.result.Divided
	if n := out.WithoutValue; n > 0 {
		add("%d rows have no value in column %q and are on no list", n, d.in.Segment.ForEach)
	}
	if len(kept) == 0 {
		return
	}
	slices.Sort(kept)
	out.Kept, out.MoreKept = kept[:min(len(kept), mostKept)], max(0, len(kept)-mostKept)
	more := ""
	if out.MoreKept > 0 {
		more = fmt.Sprintf(", and %d more", out.MoreKept)
	}
	why := "no row has the value of %d lists any more"
	if d.in.Segment.Split != nil {
		why = "the split has no group for %d lists any more"
	}
	add(why+", which stay as they are: %s%s", len(kept), strings.Join(out.Kept, ", "), more)
}
