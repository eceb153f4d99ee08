package workflows

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// guardrails pauses a run, before anything is sent, if what it would do is likely a
// mistake. The run continues once an operator approves.
func (s *exportSegment) guardrails(ctx workflow.Context) error {
	if s.in.Segment.Trial != nil {
		return s.guardTrial(ctx)
	}
	found := append(s.doubtful(ctx), Tripped(s.in.Export.Guardrails, s.in.Connection.MaxProfiles, s.report.Manifest)...)
	if s.in.Scheduled {
		m := s.report.Manifest
		if s.list.HandedOver {
			m.SentAgain = "" // approving the handover approved this too
		}
		found = append(found, Lasting(s.in.Export.Settings, s.list.NewFields, m)...)
	}
	if len(found) == 0 {
		return nil
	}
	s.step = schemas.StepGuardrails
	kind, answers := schemas.ErrorGuardrail, []string{schemas.UpdateApprove, schemas.UpdateAbort}
	if len(doubtfulLists(s.report.Manifest.SuppressionLists)) > 0 { // the others are approved with it
		kind, answers = schemas.ErrorSuppressionDoubtful, []string{schemas.UpdateApprove, schemas.UpdateRetry, schemas.UpdateAbort}
	}
	answer, err := s.waiter.ask(ctx, s.step, kind, strings.Join(found, "; "), answers...)
	if err == nil && answer == schemas.UpdateRetry { // with the list repaired
		err, s.waiter.over = errStartOver, strings.Join(found, "; ")
	}
	return err
}

// guardTrial ends a trial whose suppression lists probably lack entries: nobody answers a trial. The
// other guardrails do not matter to it, since it sends few profiles and compares them with nothing.
func (s *exportSegment) guardTrial(ctx workflow.Context) error {
	found := doubtfulLists(s.report.Manifest.SuppressionLists)
	if len(found) == 0 || workflow.GetVersion(ctx, "trial-suppression", workflow.DefaultVersion, 1) < 1 {
		return nil
	}
	s.step = schemas.StepGuardrails
	do := "have the list repaired"
	if !slices.ContainsFunc(s.report.Manifest.SuppressionLists, unreadable) { // only the sizes of lists are kept with an answer
		export, _ := schemas.TriedExport(s.in.Run.Export)
		do += fmt.Sprintf(", or run export %q and have an administrator approve it", export)
	}
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf("%s; the trial sent nothing: %s, then try again",
		strings.Join(found, "; "), do), schemas.ErrorSuppressionDoubtful, nil)
}

// Tripped returns why the guardrails stop the staged changes: one text per guardrail, with
// its numbers and the setting that allows it.
func Tripped(g schemas.Guardrails, maxProfiles int64, m schemas.Manifest) []string {
	var found []string
	trip := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	valid := m.Profiles()
	if valid == 0 && !g.AllowEmpty && !m.Kept {
		matching := ""
		if m.Filtered > 0 {
			matching = fmt.Sprintf(", of which %s match its condition", count(m.Selected()))
		}
		trip("the segment has no profile that can be sent, of %s rows read%s (guardrails.allowEmpty)", count(m.Read), matching)
	}
	if most := g.RemovedShare(); tooMany(m, most) {
		why := ""
		if m.SuppressedRemovals > 0 {
			why = fmt.Sprintf(" (%s of them are on a suppression list)", count(m.SuppressedRemovals))
		}
		known := ""
		if m.UnconfirmedRemovals > 0 {
			known = fmt.Sprintf(" and %s that may be on it", count(m.UnconfirmedMembers))
		}
		trip("%s of the %s members of the list%s would be removed%s, more than %s (guardrails.maxRemovedShare)",
			count(m.Removals), count(m.Members), known, why, percent(most))
	}
	found = append(found, doubtfulLists(m.SuppressionLists)...)
	rejected := sum(m.Rejected)
	if most := g.RejectedShare(); float64(rejected) > most*float64(m.Selected()) {
		trip("%s of %s rows were rejected, more than %s (guardrails.maxRejectedShare)", count(rejected), count(m.Selected()), percent(most))
	}
	found = append(found, leftOut(g, m)...)
	// Members that left the segment but stay on the list count too: in append mode the
	// list only grows.
	stay := max(0, m.Members-m.Unchanged-m.Updates-m.MembersRemoved()-m.Superseded-m.Forgotten)
	switch {
	case maxProfiles <= 0 || valid+stay <= maxProfiles:
	case stay == 0:
		trip("the segment has %s profiles, and the connection allows %s (maxProfiles)", count(valid), count(maxProfiles))
	default:
		trip("the list would have %s profiles, %s of the segment and %s that stay on it, and the connection allows %s (maxProfiles)",
			count(valid+stay), count(valid), count(stay), count(maxProfiles))
	}
	last := m.LastProfiles
	if last == 0 {
		last = m.Members // the snapshot does not have the number; in mirror mode it is the same
	}
	if last > 0 && valid > 0 {
		if most := g.Growth(); float64(valid) > most*float64(last) {
			trip("the segment has grown from %s to %s profiles, more than %g-fold (guardrails.maxGrowth)", count(last), count(valid), most)
		}
		if most := g.Shrink(); float64(valid)*most < float64(last) {
			trip("the segment has shrunk from %s to %s profiles, to less than one in %g (guardrails.maxShrink)", count(last), count(valid), most)
		}
	}
	return found
}

// tooMany reports whether more than a share of the members would be removed. Suppressed
// profiles that only may be on the list count among all that are or may be on it.
func tooMany(m schemas.Manifest, most float64) bool {
	return float64(m.MembersRemoved()) > most*float64(m.Members) ||
		m.UnconfirmedRemovals > 0 && float64(m.Removals) > most*float64(m.Members+m.UnconfirmedMembers)
}

// mostUnreadable is the share of a suppression list's entries that may be unreadable.
const mostUnreadable = 0.05

// doubtfulLists returns the suppression lists that probably lack some people: they have lost
// more than half of their entries, or many of them can't be read.
func doubtfulLists(lists []schemas.SuppressionCount) (found []string) {
	for _, l := range lists {
		if l.Entries < l.Before-l.Before/2 {
			found = append(found, fmt.Sprintf("suppression list %q has %s entries, less than half of the %s of the last run; have an administrator look at it", l.Name, count(l.Entries), count(l.Before)))
		}
		if unreadable(l) {
			found = append(found, fmt.Sprintf("%s of %s entries of suppression list %q are not an e-mail address, more than %s; they suppress no profile; have an administrator repair it", count(l.Unreadable), count(l.Entries), l.Name, percent(mostUnreadable)))
		}
	}
	return found
}

// unreadable reports whether many entries of a suppression list can't be read.
func unreadable(l schemas.SuppressionCount) bool {
	return float64(l.Unreadable) > mostUnreadable*float64(l.Entries)
}

// Lasting returns what a scheduled run would do that can't be undone in Iterable and that
// the export's settings do not allow.
func Lasting(set schemas.Settings, newFields []string, m schemas.Manifest) []string {
	var found []string
	if len(newFields) > 0 && set.NewFields != schemas.Allow && m.Adds+m.Updates > 0 {
		found = append(found, fmt.Sprintf("%s would be created in Iterable, where a field can never be removed (newFields)", schemas.FieldNames(newFields)))
	}
	if n := m.Resent(); n > 0 && set.FullRuns != schemas.Allow {
		all := ""
		if m.Full {
			all = "all "
		}
		found = append(found, fmt.Sprintf("%s, so %s%s profiles would be sent again, which can start journeys in Iterable (fullRuns)", m.SentAgain, all, count(n)))
	}
	return found
}

// leftOut returns the columns with too many values that can't be sent.
func leftOut(g schemas.Guardrails, m schemas.Manifest) []string {
	var found []string
	most := g.LeftOutShare() * float64(m.Selected())
	for i := 0; i < len(m.LeftOut); {
		column, n := m.LeftOut[i].Column, int64(0)
		for ; i < len(m.LeftOut) && m.LeftOut[i].Column == column; i++ {
			n += m.LeftOut[i].Count
		}
		if float64(n) > most {
			found = append(found, fmt.Sprintf("%s of %s rows have a value of column %q that can't be sent, more than %s (guardrails.maxLeftOutShare)",
				count(n), count(m.Selected()), column, percent(g.LeftOutShare())))
		}
	}
	return found
}

func percent(share float64) string { return fmt.Sprintf("%.4g %%", share*100) }
